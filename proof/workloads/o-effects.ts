/** What is done to sockets, and whether it takes effect, on those that receive and on those that do not. */
import { once } from "node:events"
import { type AddressInfo, createServer } from "node:net"
import { Data, Effect, Exit, Scope } from "effect"
import { needsZeromq } from "../engine.ts"
import { randomOf, seed } from "../moments.ts"
import type { Outcome, Size, Workload } from "../row.ts"
import { ipc } from "../wait.ts"
import { progress, settle, watchFiber } from "../watch.ts"
import { type Raw, type RawType, rawOf, type Subject, types } from "./o-subjects.ts"

/** Seconds in which it must have taken effect, however busy the machine. */
const limitOfEffect = 20

/** How many in a row go where they should, before that is believed. */
const inARow = 6

const mostLooks = 50

const inSuccession = (attempt: Effect.Effect<boolean>): Effect.Effect<boolean> =>
  Effect.gen(function* () {
    for (let times = 0; times < inARow; times++) if (!(yield* attempt)) return false
    return true
  })

class NoEffect extends Data.TaggedError("NoEffect")<{ readonly what: string }> {}

let names = 0

const run =
  (transport: "tcp" | "ipc" | "inproc") =>
  async (size: Size): Promise<Outcome> => {
    const random = randomOf()
    const faults: Array<string> = []
    const counts = new Map<string, number>()
    let done = 0
    let failed = 0
    let longest = 0
    let longestWhat = ""
    let tries = 0
    let asleep = 0

    const freshEndpoint: Effect.Effect<string> = Effect.promise(async () => {
      if (transport === "ipc") return ipc()
      if (transport === "inproc") return `inproc://effects-${names++}`
      const server = createServer().listen(0, "127.0.0.1")
      await once(server, "listening")
      const { port } = server.address() as AddressInfo
      server.close()
      await once(server, "close")
      return `tcp://127.0.0.1:${port}`
    })

    /** A raw peer, until the scope closes. */
    const peer = (type: RawType, id = `peer ${names++}`): Effect.Effect<Raw, never, Scope.Scope> =>
      Effect.acquireRelease(
        Effect.sync(() => rawOf(type, id)),
        (raw) => Effect.sync(() => raw.socket.close())
      )

    const until = (what: string, attempt: Effect.Effect<boolean>): Effect.Effect<void, NoEffect> =>
      Effect.gen(function* () {
        const since = performance.now()
        while (!(yield* attempt)) {
          if (performance.now() - since > limitOfEffect * 1000) return yield* new NoEffect({ what })
          yield* Effect.sleep(2)
        }
        const took = performance.now() - since
        if (took > longest) {
          longest = took
          longestWhat = what
        }
      })

    /** Whether a text is heard before long. That it is not costs time, and nothing else. */
    const hears = (set: Set<string>, text: string, look: Effect.Effect<void> = Effect.void): Effect.Effect<boolean> =>
      Effect.gen(function* () {
        for (let looks = 0; looks < mostLooks; looks++) {
          yield* look
          if (set.has(text)) return true
          yield* Effect.sleep(2)
        }
        return false
      })

    const walk = (type: string, receives: boolean) =>
      Effect.gen(function* () {
        const { open, like, peer: peerType } = types[type]!
        const subject: Subject = yield* open
        const { socket, heard } = subject
        const listen = (!receives && subject.listen) || Effect.void
        if (receives && subject.keepListening !== undefined) watchFiber(yield* Effect.forkScoped(subject.keepListening))
        let texts = 0
        const text = () => `${type} ${names} ${texts++}`

        const told = (raw: Raw) =>
          Effect.suspend(() => {
            const said = text()
            return Effect.flatMap(subject.say!(said, raw.id), (could) =>
              could ? hears(raw.heard, said) : Effect.succeed(false)
            )
          })
        const toldBy = (raw: Raw) =>
          Effect.suspend(() => {
            const said = text()
            raw.say(said)
            return hears(heard, said, listen)
          })
        /** One attempt to talk. One that sends as well as it receives does either, so that it may never be read. */
        const speaks = subject.say !== undefined && (subject.listen === undefined || random(2) === 0)
        const reaches = (raw: Raw) => (speaks ? told(raw) : toldBy(raw))

        /** Does what is undone by name, or with its scope. */
        const undoable = <A, E>(acquire: Effect.Effect<A, E, Scope.Scope>, undo: Effect.Effect<void, unknown>) =>
          Effect.gen(function* () {
            const scope = yield* Scope.make()
            yield* Effect.orDie(Scope.provide(acquire, scope))
            return Effect.orDie(random(2) === 0 ? undo : Scope.close(scope, Exit.void))
          })
        const connect = (endpoint: string) => undoable(socket.connect(endpoint), socket.disconnect(endpoint))
        const bind = (endpoint: string) => undoable(socket.bind(endpoint), socket.unbind(endpoint))
        const binds = (raw: Raw, endpoint: string) =>
          until(
            "an endpoint that was given up is free",
            Effect.sync(() => {
              try {
                raw.bind(endpoint)
                return true
              } catch {
                return false
              }
            })
          )

        const disconnect = Effect.gen(function* () {
          const [at, elsewhere] = [yield* freshEndpoint, yield* freshEndpoint]
          const first = yield* peer(peerType)
          yield* binds(first, at)
          const undo = yield* connect(at)
          yield* until("a peer that was connected to is reached", reaches(first))
          yield* undo
          const before = first.heard.size
          const other = yield* peer(peerType)
          yield* binds(other, elsewhere)
          const undoOther = yield* connect(elsewhere)
          yield* until("the next peer is reached", reaches(other))
          first.socket.close()
          const later = yield* peer(peerType)
          yield* binds(later, at)
          for (let times = 0; times < inARow; times++) {
            const ghost = text()
            later.say(ghost)
            if (speaks && !(yield* told(other))) yield* until("the next peer is still reached", told(other))
            if (!speaks) yield* until("the next peer is still heard", toldBy(other))
            if (heard.has(ghost)) faults.push(`${type}: it heard one who bound where it had disconnected`)
          }
          if (speaks && later.heard.size > 0) faults.push(`${type}: it told one who bound where it had disconnected`)
          if (speaks && first.heard.size > before) faults.push(`${type}: it told one that it had disconnected`)
          yield* undoOther
        })

        const unbind = Effect.gen(function* () {
          const [at, elsewhere] = [yield* freshEndpoint, yield* freshEndpoint]
          const undo = yield* bind(at)
          const first = yield* peer(peerType)
          first.connect(at)
          yield* until("a peer that connects is reached", reaches(first))
          yield* undo
          const successor = yield* peer(like)
          yield* binds(successor, at)
          first.socket.close()
          const later = yield* peer(peerType)
          later.connect(at)
          const undoOther = yield* bind(elsewhere)
          yield* reachedAnew(elsewhere)
          const ghost = text()
          later.say(ghost)
          yield* hears(successor.heard, ghost)
          yield* listen
          if (heard.has(ghost)) faults.push(`${type}: it heard one who connected where it had unbound`)
          if (speaks && later.heard.size > 0) faults.push(`${type}: it told one who connected where it had unbound`)
          yield* undoOther
        })

        /** A peer connects, under the name of the one before. libzmq turns it away as long as that one is there. */
        const reachedAnew = (at: string, id?: string): Effect.Effect<Raw, NoEffect, Scope.Scope> =>
          Effect.gen(function* () {
            const scope = yield* Effect.scope
            const since = performance.now()
            while (true) {
              const raw = yield* Scope.provide(peer(peerType, id), scope)
              raw.connect(at)
              const patience = type === "router" || transport === "inproc" ? 2000 : limitOfEffect * 1000
              const reached = yield* Effect.timeoutOption(
                until("a peer that comes next is reached", reaches(raw)),
                patience
              )
              if (reached._tag === "Some") return raw
              // It has something, and zeromq.js did not wake whoever reads it: that is no fault of ours.
              const isAsleep = (raw.socket as unknown as { readonly readable?: boolean }).readable === true
              raw.socket.close()
              if (isAsleep) {
                asleep++
                continue
              }
              tries++
              if (performance.now() - since > limitOfEffect * 1000)
                return yield* new NoEffect({
                  what: `a peer that comes next is reached (${JSON.stringify(subject.socket.stats)})`
                })
            }
          })

        const peersComeAndGo = Effect.gen(function* () {
          const at = yield* freshEndpoint
          const undo = yield* bind(at)
          for (let times = 0; times < 3; times++) {
            const raw = yield* reachedAnew(at, "named")
            raw.socket.close()
            // As one that starts again would be.
            yield* Effect.sleep(random(300))
          }
          yield* undo
        })

        const peerIsBoundAgain = Effect.gen(function* () {
          const at = yield* freshEndpoint
          const undo = yield* connect(at)
          for (let times = 0; times < 2; times++) {
            // A ROUTER that connects knows whoever is there by the first name that it was told.
            const raw = yield* peer(peerType, "bound")
            yield* binds(raw, at)
            yield* until("a peer that is bound again is reached", reaches(raw))
            raw.socket.close()
          }
          yield* undo
        })

        /** Of two who are dealt messages in turn, ours or raw, one leaves: the other gets all. */
        const leavesTheRest = Effect.gen(function* () {
          const at = yield* freshEndpoint
          if (speaks) {
            const undo = yield* bind(at)
            const [one, other] = [yield* peer(peerType), yield* peer(peerType)]
            one.connect(at)
            other.connect(at)
            yield* until("one of two is reached", told(one))
            yield* until("the other of two is reached", told(other))
            if (random(2) === 0) one.socket.close()
            else one.socket.disconnect(at)
            yield* until("one has left, and the other is dealt all", inSuccession(told(other)))
            yield* undo
          } else {
            const [dealer, other] = [yield* peer(peerType), yield* peer(like)]
            yield* binds(dealer, at)
            const undo = yield* connect(at)
            other.connect(at)
            yield* until("one of two is heard", toldBy(dealer))
            yield* undo
            const dealt = Effect.suspend(() => {
              const said = text()
              dealer.say(said)
              return hears(other.heard, said)
            })
            yield* until("it is dealt nothing any more", inSuccession(dealt))
          }
        })

        const topics = Effect.gen(function* () {
          const at = yield* freshEndpoint
          const [listener, raw] = [yield* Effect.orDie(types[type]!.open), yield* peer(peerType)]
          yield* binds(raw, at)
          const own = listener.topics!
          yield* Effect.orDie(own.unsubscribe(""))
          yield* Effect.orDie(listener.socket.connect(at))
          const marker = yield* undoable(own.subscribe("marker"), own.unsubscribe("marker"))
          for (let times = 0; times < 3; times++) {
            const topic = `topic ${times}`
            const undo = yield* undoable(own.subscribe(topic), own.unsubscribe(topic))
            const published = (topic: string) =>
              Effect.suspend(() => {
                const said = `${topic} ${text()}`
                raw.say(said)
                return Effect.as(hears(listener.heard, said, Effect.ignore(listener.listen!)), said)
              })
            const isHeard = (topic: string) => Effect.map(published(topic), (said) => listener.heard.has(said))
            yield* until("a topic that was subscribed is heard", isHeard(topic))
            yield* undo
            yield* until(
              "a topic that was given up is not heard",
              Effect.gen(function* () {
                const given = yield* published(topic)
                return (yield* isHeard("marker")) && !listener.heard.has(given)
              })
            )
          }
          yield* marker
        })

        const actions: Array<readonly [string, Effect.Effect<void, NoEffect, Scope.Scope>]> = [
          ["disconnect", disconnect],
          ["unbind", unbind],
          ["peers that come and go", peersComeAndGo]
        ]
        // Over inproc libzmq does not connect again.
        if (transport !== "inproc") actions.push(["a peer that is bound again", peerIsBoundAgain])
        if (["pull", "push", "dealer", "rep"].includes(type)) actions.push(["one of two leaves", leavesTheRest])
        if (subject.topics !== undefined) actions.push(["topics", topics])
        for (let steps = 0; steps < 4 && done < size.count; steps++) {
          const [name, action] = actions[random(actions.length)]!
          done++
          counts.set(name, (counts.get(name) ?? 0) + 1)
          const end = yield* Effect.result(Effect.scoped(action))
          progress(() => `${done} actions`)
          if (end._tag === "Success") continue
          failed++
          faults.push(
            `${type}, ${receives ? "receiving" : "idle"}, ${name}: not in ${limitOfEffect} s: ${end.failure.what}`
          )
          return
        }
      })

    const all = Object.keys(types).flatMap((type) => [true, false].map((receives) => [type, receives] as const))
    const program = Effect.gen(function* () {
      while (done < size.count && faults.length < 5) {
        for (const [type, receives] of all.toSorted(() => random(2) - 0.5)) {
          if (done >= size.count || faults.length >= 5) break
          yield* Effect.scoped(walk(type, receives))
        }
      }
    })
    await Effect.runPromise(settle(program))
    return {
      sent: done,
      delivered: done - failed,
      redelivered: 0,
      receivable: 0,
      lost: failed,
      duplicated: 0,
      outOfOrder: null,
      faults,
      notes: [
        [...counts].map(([name, count]) => `${name} ${count}`).join(", "),
        `the longest took ${Math.round(longest)} ms: ${longestWhat}`,
        `${tries} times a peer that came under the name of one that had left was reached at a second try or later`,
        `${asleep} times a peer of zeromq.js had something to read and was not woken`,
        `seed ${seed}`
      ]
    }
  }

const limit = { quick: 240, full: 1800 }

export const workload: Workload = {
  id: "o",
  title: "what is done takes effect",
  counting: `What is sent is an action: a disconnect, an unbind, the end of a scope, of a peer, its return, a subscription. It is delivered when it has taken effect: whoever was disconnected is told and dealt nothing any more, whoever binds there later is not connected, the endpoint is free, the next peer is reached. Over and over, in random order, on sockets of each type that somebody receives on, and on those that are idle. Lost: not within ${limitOfEffect} s.`,
  alone: "it asks what the operations of this library do, which others do not have",
  rows: (["tcp", "ipc", "inproc"] as const).map((transport) => ({
    library: "effect-zmq",
    variant: transport,
    quick: 60,
    full: 1000,
    limit,
    run: run(transport),
    ...(transport === "inproc" ? { skip: needsZeromq } : {})
  }))
}
