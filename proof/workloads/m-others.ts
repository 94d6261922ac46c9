/** Services among whose clients there are some that do not read, that die, that flood, and that come back. */
import { Deferred, Effect, Fiber, type Scope } from "effect"
import { Proxy, Zmq } from "effect-zmq"
import { buffers } from "../engine.ts"
import { randomOf, seed } from "../moments.ts"
import { answerTo } from "../peers/questions.ts"
import { startNodePeer } from "../processes.ts"
import type { Outcome, Size, Workload } from "../row.ts"
import { endOf, patience, type Told, told, untilLeast, untilTold } from "../told.ts"
import { growthSince, progress, settle, watchFiber } from "../watch.ts"
import { publish } from "./m-pub.ts"

const goodOnes = 50

/** How many MiB a service may grow by: what is documented to wait for a client, and what Node and libzmq do not give back. */
const mostGrowth = 512
// A proxy and its worker have the queues of three sockets. It takes them in the first round of ten, and no more after it.
const mostGrowthOfProxy = 768

interface Service {
  readonly endpoint: string
  readonly dropped: () => number
  /** Sends to a client of the service on its own, where it can. */
  readonly send?: (message: Zmq.Outgoing) => Effect.Effect<void, { readonly _tag: string }>
}

// Small, so that who does not read is soon in the way.
const small = { sendHighWaterMark: 20, ...buffers({ sendBufferSize: 16_384 }) }

const answer = ([question]: Zmq.Message) => Effect.sync(() => answerTo(question.toString("latin1")))

const router = (options: Zmq.RouterOptions, concurrency: number): Effect.Effect<Service, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const socket = yield* Zmq.router({ bind: "tcp://127.0.0.1:*", linger: 0, ...options })
    watchFiber(yield* Effect.forkScoped(socket.serve(answer, { concurrency })))
    return { endpoint: socket.endpoints[0]!, dropped: () => socket.stats.dropped, send: socket.send }
  })

const queue: Effect.Effect<Service, unknown, Scope.Scope> = Effect.gen(function* () {
  const proxy = yield* Proxy.queue({
    frontend: { bind: "tcp://127.0.0.1:*", linger: 0, ...small },
    backend: { bind: "tcp://127.0.0.1:*", linger: 0 }
  })
  const worker = yield* Zmq.router({ connect: proxy.backend.endpoints[0]!, linger: 0 })
  watchFiber(yield* Effect.forkScoped(worker.serve(answer, { concurrency: 64 })))
  const { frontend } = proxy
  return { endpoint: frontend.endpoints[0]!, dropped: () => frontend.stats.dropped + worker.stats.dropped }
})

const longestLine = 65_536

/** Lines over plain TCP: each message is a piece of what a client says. */
const stream: Effect.Effect<Service, unknown, Scope.Scope> = Effect.gen(function* () {
  const socket = yield* Zmq.rawStream({ bind: "tcp://127.0.0.1:*", linger: 0, ...small })
  const begun = new Map<string, string>()
  const handler = ([id, bytes]: Zmq.Message): Effect.Effect<void, Zmq.Again | Zmq.Closed | Zmq.EncodeError> =>
    Effect.suspend(() => {
      const client = id.toString("latin1")
      // It came, or left.
      if (bytes!.length === 0) {
        begun.delete(client)
        return Effect.void
      }
      const lines = ((begun.get(client) ?? "") + bytes!.toString("latin1")).split("\n")
      const last = lines.pop()!
      if (last.length > longestLine) return socket.send([id, ""])
      begun.set(client, last)
      if (lines.length === 0) return Effect.void
      return socket.send([id, lines.map((line) => `${answerTo(line)}\n`).join("")])
    }).pipe(Effect.catchTag("Unroutable", () => Effect.void))
  watchFiber(yield* Effect.forkScoped(socket.runForEach(handler, { concurrency: 16 })))
  return { endpoint: socket.endpoints[0]!, dropped: () => socket.stats.dropped, send: socket.send }
})

type Kind = "greedy" | "slow" | "dead" | "garbage" | "returning"
const kinds: ReadonlyArray<Kind> = ["greedy", "slow", "dead", "garbage", "returning"]

const run =
  (protocol: "zmq" | "tcp", open: Effect.Effect<Service, unknown, Scope.Scope>, mayGrow = mostGrowth) =>
  async (size: Size): Promise<Outcome> => {
    const random = randomOf()
    const faults: Array<string> = []
    const all = { sent: 0, delivered: 0, lost: 0, duplicated: 0, outOfOrder: 0 }
    const add = ({ books }: Told) => {
      for (const key of Object.keys(all) as Array<keyof typeof all>) all[key] += books![key]
    }
    let longest = 0
    let lives = 0
    let turnedAway = 0
    let kills = 0
    let ended = 0
    let longestEnd = 0
    let longestReturn = 0
    let dropped = 0
    let growth = 0

    const program = Effect.gen(function* () {
      const service = yield* open
      const start = (kind: string, options: object) =>
        startNodePeer(
          "client.ts",
          kind,
          protocol,
          service.endpoint,
          JSON.stringify({ letters: 2000, seed: random(1e9), ...options })
        )

      const good = yield* start("good", { count: goodOnes })
      const untilGoodAnswered = (more: number) =>
        Effect.map(untilLeast(good, more), (stood) => {
          if (stood) faults.push(`the good clients had no answer for ${patience} s`)
        })

      // A send to one that dies ends, and says that it is gone.
      const sendUntilItEnds = (name: string, dead: Effect.Effect<number>) =>
        Effect.gen(function* () {
          if (service.send === undefined || protocol === "tcp") return
          const sending = watchFiber(
            yield* Effect.forkChild(Effect.flip(Effect.forever(service.send([name, "", "a".repeat(50_000)]))))
          )
          const diedAt = yield* dead
          const end = yield* Effect.timeoutOption(Fiber.join(sending), `${patience} seconds`)
          ended++
          longestEnd = Math.max(longestEnd, performance.now() - diedAt)
          if (end._tag === "None") faults.push(`a send to one that was killed had not ended ${patience} s later`)
          else if (end.value._tag !== "Unroutable") faults.push(`a send to one that was killed: ${end.value._tag}`)
          yield* Fiber.interrupt(sending)
        })

      const answers = size.quick ? 10 : 50
      // TCP itself takes some megabytes before anybody has to wait.
      const questions = (size.quick ? 5000 : 20_000) * (protocol === "tcp" ? 5 : 1)
      const turn: Readonly<Record<Kind, (name: string) => Effect.Effect<unknown, never, Scope.Scope>>> = {
        greedy: (name) =>
          Effect.gen(function* () {
            const peer = yield* start("greedy", { count: questions, name })
            yield* untilTold(peer, "asked")
            yield* untilGoodAnswered(answers)
          }),
        slow: (name) =>
          Effect.gen(function* () {
            const count = size.quick ? 1200 : 4000
            const peer = yield* start("slow", { count, name, pause: size.quick ? 1 : 2, letters: 8000 })
            yield* untilTold(peer, "asked")
            yield* untilGoodAnswered(answers)
            add(yield* untilTold(peer, "books"))
          }),
        dead: (name) =>
          Effect.gen(function* () {
            const peer = yield* start("greedy", { count: 30_000, name, letters: 1000 })
            yield* untilTold(peer, "asked")
            const died = yield* Deferred.make<number>()
            const sending = yield* Effect.forkChild(sendUntilItEnds(name, Deferred.await(died)))
            yield* untilGoodAnswered(random(answers))
            yield* Effect.promise(() => peer.kill())
            kills++
            yield* Deferred.succeed(died, performance.now())
            yield* Fiber.join(sending)
            yield* untilGoodAnswered(answers)
          }),
        garbage: () =>
          Effect.gen(function* () {
            const peer = yield* start("garbage", {})
            yield* untilTold(peer, "asked")
            yield* untilGoodAnswered(answers)
            yield* endOf(peer)
          }),
        returning: (name) =>
          Effect.gen(function* () {
            const peer = yield* start("returning", { count: size.quick ? 3 : 20, name })
            yield* untilTold(peer, "asked")
            yield* untilGoodAnswered(answers)
            const said = yield* untilTold(peer, "lives")
            lives += said.lives!
            turnedAway += said.turnedAway!
            longestReturn = Math.max(longestReturn, said.longest!)
            const { books } = yield* untilTold(peer, "books")
            if (books!.lost > 0) faults.push(`${books!.lost} of ${books!.sent} that came back were not answered`)
          })
      }

      // Before and after them all, the good ones are alone.
      yield* untilGoodAnswered(answers)
      const memory = yield* growthSince
      for (let round = 0; round < size.count && faults.length === 0; round++) {
        const order = kinds.toSorted(() => random(2) - 0.5)
        for (const kind of order) {
          progress(() => `round ${round + 1}, ${kind}`)
          yield* Effect.scoped(turn[kind](`${kind}-${round}`))
        }
        // And all of them together.
        if (size.quick) continue
        progress(() => `round ${round + 1}, all`)
        yield* Effect.scoped(
          Effect.all(
            kinds.map((kind) => turn[kind](`${kind}-${round}-all`)),
            { concurrency: "unbounded" }
          )
        )
      }
      yield* untilGoodAnswered(answers)
      growth = memory()
      longest = told(good, "least")!.longest!
      dropped = service.dropped()
      add(yield* endOf(good))
    })
    await Effect.runPromise(settle(Effect.scoped(program)))
    if (growth > mayGrow) faults.push(`memory grew by ${growth} MiB, of ${mayGrow} MiB that it may`)
    return {
      ...all,
      redelivered: 0,
      receivable: 0,
      faults,
      notes: [
        `${goodOnes} good clients, and a slow one; the longest wait of a good one ${longest} ms`,
        `${kills} killed with 30,000 requests in flight${ended > 0 ? `, a send to each Unroutable after at most ${Math.round(longestEnd)} ms` : ""}`,
        `${lives} lives of one that comes back, answered after at most ${longestReturn} ms, ${turnedAway} times at a second try or later`,
        `${dropped} messages of those that do not read dropped`,
        `memory grew by ${growth} MiB`,
        `seed ${seed}`
      ]
    }
  }

const limit = { quick: 240, full: 1800 }

export const workload: Workload = {
  id: "m",
  title: "no peer stops the others",
  counting: `${goodOnes} good clients ask one question after the other, and count the answers. Among them, one after the other and all at once: one that asks thousands of times and reads nothing, one that reads slowly and has at most 1,000 questions open, whose answers count as well, one that is killed with 30,000 in flight, one that floods with garbage, and one that comes back again and again under its name. All clients are plain zeromq.js or TCP, in processes of their own.`,
  alone: "it asks what one peer can do to a service of this library",
  rows: [
    {
      library: "effect-zmq",
      variant: "serve, concurrency 1",
      quick: 1,
      full: 6,
      limit,
      run: run("zmq", router({}, 1))
    },
    {
      library: "effect-zmq",
      variant: "serve, concurrency 16, small queues",
      quick: 1,
      full: 6,
      limit,
      run: run("zmq", router(small, 16))
    },
    {
      library: "effect-zmq",
      variant: "Proxy.queue, small queues",
      quick: 1,
      full: 6,
      limit,
      run: run("zmq", queue, mostGrowthOfProxy)
    },
    {
      library: "effect-zmq",
      variant: "a STREAM with lines, small queues",
      quick: 1,
      full: 6,
      limit,
      run: run("tcp", stream)
    },
    { library: "effect-zmq", variant: "a PUB", quick: 1, full: 6, limit, run: publish }
  ]
}
