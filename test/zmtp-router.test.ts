/** What ROUTER and STREAM of this engine do below the mailbox: names, room, and who is told. */
import { describe, expect } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { openSocket } from "../src/internal/socket/open.ts"
import { freshEndpoint, numbers, randomFrom, texts, until } from "./support/sockets.ts"
import { all, live, next, type Opened, ownerOf, rude, turns } from "./support/zmtpPort.ts"

const textOf = ({ port }: Opened): string => String(port.take()[1])

describe("a ROUTER", () => {
  for (const mandatory of [true, false])
    live(
      `${mandatory ? "says" : "does not say"} who is not there or has no room, if mandatory is ${mandatory}`,
      Effect.gen(function* () {
        const bind = freshEndpoint("inproc")
        const router = yield* openSocket("router", { bind, mandatory, sendHighWaterMark: 1 })
        const dealer = yield* openSocket("dealer", { connect: bind, routingId: "name", receiveHighWaterMark: 1 })
        const offer = (...message: ReadonlyArray<string>) => router.port.offer(message as never)
        expect(offer("nobody", "0")).toBe(mandatory ? "unroutable" : "sent")
        expect([offer("name", "1"), offer("name", "2")]).toEqual(["sent", "sent"])
        expect(offer("name", "3")).toBe(mandatory ? "full" : "sent")
        expect(all(dealer)).toEqual([["1"], ["2"]])
      })
    )

  live(
    "gives each that has no name one of its own",
    Effect.gen(function* () {
      const router = yield* openSocket("router", { bind: freshEndpoint("inproc") })
      for (const _ of [1, 2, 3]) {
        const { port } = yield* openSocket("dealer", { connect: router.endpoints[0]! })
        port.offer("hello")
      }
      const names: Array<string> = []
      while (router.port.ready > 0) names.push(router.port.take()[0].toString("latin1"))
      expect(new Set(names).size).toBe(3)
      expect(names.every((name) => name.startsWith("\0"))).toBe(true)
    })
  )

  live(
    "has nobody wait for who is not there",
    Effect.gen(function* () {
      const router = yield* openSocket("router", { bind: freshEndpoint("inproc") })
      const told: Array<string> = []
      ownerOf(router).onRoom = (lane) => void told.push(lane)
      router.port.awaitRoom("nobody")
      yield* until(Effect.sync(() => told.length > 0))
      expect(told).toEqual(["nobody"])
    })
  )

  for (const side of ["bind", "connect"] as const)
    live(
      `with handover has the newest of a name over inproc, and hears no more of the one before (${side})`,
      Effect.gen(function* () {
        const places = [freshEndpoint("inproc"), freshEndpoint("inproc")]
        const router = yield* openSocket("router", { [side]: places, handover: true })
        const [first, second] = yield* Effect.forEach(places, (at) =>
          openSocket("dealer", { [side === "bind" ? "connect" : "bind"]: at, routingId: "name" })
        )
        expect([router, first!, second!].map(({ port }) => port.peers)).toEqual([1, 0, 1])
        router.port.offer(["name", "hello"])
        expect([all(first!), all(second!)]).toEqual([[], [["hello"]]])
        second!.port.offer("hello")
        expect(all(router)).toEqual([["name", "hello"]])
      })
    )

  live(
    "says nothing to whom it only names",
    Effect.gen(function* () {
      const router = yield* openSocket("router", { bind: freshEndpoint("tcp") })
      const dealer = yield* openSocket("dealer", { connect: router.endpoints[0]!, routingId: "name" })
      yield* until(Effect.sync(() => router.port.peers === 1))
      for (const message of [["name"], "name", ["name", "hello"]])
        expect(router.port.offer(message as never)).toBe("sent")
      expect(yield* next(dealer)).toEqual(["hello"])
    })
  )

  for (const type of ["dealer", "req", "router"] as const)
    live(
      `hears at once of a ${type} that probes it`,
      Effect.gen(function* () {
        const router = yield* openSocket("router", { bind: freshEndpoint("tcp") })
        yield* openSocket(type, { connect: router.endpoints[0]!, routingId: "name", probeRouter: true })
        expect(yield* next(router)).toEqual(["name", ""])
      })
    )

  for (const side of ["bind", "connect"] as const)
    live(
      `is told the end of those that came in alone, and while it receives (${side})`,
      Effect.gen(function* () {
        const at = freshEndpoint("inproc")
        const router = yield* openSocket("router", { [side]: at }, Buffer.from("farewell"))
        const once = Effect.gen(function* () {
          const other = side === "bind" ? "connect" : "bind"
          const { port } = yield* openSocket("dealer", { [other]: at, routingId: "name" })
          port.offer("hello")
          expect(yield* next(router)).toEqual(["name", "hello"])
        })
        yield* Effect.scoped(once)
        yield* until(Effect.sync(() => router.port.peers === 0))
        expect(all(router)).toEqual(side === "bind" ? [["name", "farewell"]] : [])
        yield* Effect.scoped(
          Effect.andThen(
            once,
            Effect.sync(() => router.port.dismiss())
          )
        )
        yield* until(Effect.sync(() => router.port.peers === 0))
        expect(router.port.ready).toBe(0)
      })
    )

  for (const transport of ["tcp", "inproc"] as const)
    live(
      `hears of who probes it before all that waited for it, over ${transport}`,
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const bound = yield* Scope.provide(openSocket("router", { bind: freshEndpoint(transport) }), scope)
        const [connect] = bound.endpoints
        yield* Scope.close(scope, Exit.void)
        const dealer = yield* openSocket("dealer", {
          connect: connect!,
          routingId: "name",
          probeRouter: true,
          reconnectInterval: 1
        })
        for (const text of ["one", "two"]) dealer.port.offer(text)
        const router = yield* openSocket("router", { bind: connect! })
        for (const text of ["", "one", "two"]) expect(yield* next(router)).toEqual(["name", text])
      })
    )

  live(
    "hears of those with the same name one after the other, each with its end",
    Effect.gen(function* () {
      const router = yield* openSocket("router", { bind: freshEndpoint("inproc") }, Buffer.from("farewell"))
      const come = (text: string) =>
        Effect.gen(function* () {
          const scope = yield* Scope.make()
          const dealer = openSocket("dealer", { connect: router.endpoints[0]!, routingId: "name" })
          const { port } = yield* Scope.provide(dealer, scope)
          for (const i of [1, 2]) port.offer(`${text} ${i}`)
          return scope
        })
      const scopes = yield* Effect.forEach(["first", "second", "third"], come)
      expect(router.port.peers).toBe(3)
      for (const text of ["first", "second", "third"]) {
        expect(all(router)).toEqual([`${text} 1`, `${text} 2`].map((said) => ["name", said]))
        yield* Scope.close(scopes.shift()!, Exit.void)
        expect(yield* next(router)).toEqual(["name", "farewell"])
      }
      expect([router.port.ready, router.port.peers]).toEqual([0, 0])
    })
  )

  /** How many of four places it is bound to: those that it connects to come again by the same connection. */
  for (const [bound, seed] of [0, 1, 4].flatMap((bound) => numbers(1, 11).map((seed) => [bound, seed] as const)))
    live(
      `hears once, and in order, what those said that came and went by the same names (bound to ${bound}, ${seed})`,
      Effect.gen(function* () {
        const below = randomFrom(seed)
        const places = Array.from({ length: 4 }, () => freshEndpoint("inproc"))
        const router = yield* openSocket("router", { bind: places.slice(0, bound), connect: places.slice(bound) })
        interface Instance {
          readonly port: Opened["port"]
          readonly name: string
          readonly began: number
          /** Whether nobody else had its name when it came. */
          readonly isAlone: boolean
          readonly said: Array<string>
          ended: number
        }
        const dealers = new Map<number, Instance>()
        const instances: Array<Instance> = []
        const heard: Array<string> = []
        for (let step = 0; step < 600; step++) {
          const place = below(places.length)
          const dealer = dealers.get(place)
          const action = below(5)
          if (action === 0) for (let i = below(3); i > 0 && router.port.ready > 0; i--) heard.push(textOf(router))
          else if (dealer === undefined) {
            const name = `${below(2)}`
            const { port } = yield* openSocket("dealer", {
              [place < bound ? "connect" : "bind"]: places[place]!,
              routingId: name
            })
            const isAlone = [...dealers.values()].every((other) => other.name !== name)
            const one = { port, name, began: step, isAlone, said: [], ended: Number.POSITIVE_INFINITY }
            dealers.set(place, one)
            instances.push(one)
          } else if (action <= 2) {
            dealer.port.close(0, () => {})
            dealer.ended = step
            dealers.delete(place)
          } else {
            dealer.said.push(`${place} ${step}`)
            dealer.port.offer(dealer.said.at(-1)!)
          }
        }
        for (const { port } of dealers.values()) port.close(0, () => {})
        while (router.port.ready > 0) heard.push(textOf(router))
        const all = instances.flatMap(({ said }) => said)
        expect(heard.toSorted()).toEqual(all.toSorted())
        const placesOf = ({ said }: Instance) => said.map((text) => heard.indexOf(text))
        for (const one of instances) {
          expect(placesOf(one)).toEqual(placesOf(one).toSorted((a, b) => a - b))
          for (const other of bound === places.length ? instances : [])
            if (one.name === other.name && one.ended < other.began && one.isAlone && other.isAlone)
              expect(Math.max(...placesOf(one))).toBeLessThan(Math.min(...placesOf(other)))
        }
      })
    )

  live(
    "hears those of one name one after the other, though one of them comes again after another",
    Effect.gen(function* () {
      const places = [0, 1, 2].map(() => freshEndpoint("inproc"))
      const router = yield* openSocket("router", { connect: places })
      const come = (place: number, ...said: ReadonlyArray<string>) =>
        Effect.gen(function* () {
          const { port } = yield* openSocket("dealer", { bind: places[place]!, routingId: "name" })
          for (const text of said) port.offer(text)
          port.close(0, () => {})
        })
      const heard = () => all(router).map(([, text]) => text)
      // One that says nothing the first time.
      yield* come(0, "1", "2")
      yield* come(1)
      yield* come(2, "3", "4")
      yield* come(1, "5", "6")
      expect(heard()).toEqual(["1", "2", "3", "4", "5", "6"])
      // One that was behind another before.
      yield* come(0, "1", "2")
      yield* come(1, "3")
      expect(heard()).toEqual(["1", "2", "3"])
      yield* come(0, "1", "2")
      yield* come(1, "3", "4")
      yield* come(2, "5")
      expect(heard()).toEqual(["1", "2", "3", "4", "5"])
    })
  )

  live(
    "hears of the next though another of its name comes and goes without a word, however often",
    Effect.gen(function* () {
      const router = yield* openSocket("router", { bind: freshEndpoint("inproc") })
      const at = router.endpoints[0]!
      const dealer = yield* openSocket("dealer", { connect: at, routingId: "name" })
      dealer.port.offer("first")
      for (let i = 0; i < 20_000; i++) {
        dealer.port.disconnect(at)
        dealer.port.connect(at, () => {})
      }
      dealer.port.offer("last")
      expect(all(router)).toEqual(["first", "last"].map((text) => ["name", text]))
    })
  )

  live(
    "tells who waits for messages of what was held while another had the name",
    Effect.gen(function* () {
      const router = yield* openSocket("router", { bind: freshEndpoint("inproc") })
      const named = { connect: router.endpoints[0]!, routingId: "name" }
      const first = yield* openSocket("dealer", named)
      const second = yield* openSocket("dealer", named)
      second.port.offer("second")
      let told = 0
      ownerOf(router).onMessages = () => void told++
      router.port.listen()
      yield* turns(3)
      expect(told).toBe(0)
      first.port.disconnect(named.connect)
      yield* until(Effect.sync(() => told === 1))
      expect(all(router)).toEqual([["name", "second"]])
    })
  )

  live(
    "reads on of a peer that was held and had said more than there is room for",
    Effect.gen(function* () {
      const router = yield* openSocket("router", { bind: freshEndpoint("tcp"), receiveHighWaterMark: 4 })
      const named = { connect: router.endpoints[0]!, routingId: "name" }
      const first = yield* openSocket("dealer", named)
      yield* until(Effect.sync(() => router.port.peers === 1))
      const second = yield* openSocket("dealer", named)
      const said = Array.from({ length: 20 }, (_, i) => ["name", `${i}`])
      for (const [, text] of said) second.port.offer(text!)
      yield* until(Effect.sync(() => router.port.peers === 2))
      yield* turns(5)
      expect(router.port.ready).toBe(0)
      first.port.disconnect(named.connect)
      for (const message of said) expect(yield* next(router)).toEqual(message)
    })
  )
})

describe("a ROUTER that holds peers back", () => {
  const lane = "slow"
  const filled = (transport: "inproc" | "tcp") =>
    Effect.gen(function* () {
      const router = yield* openSocket("router", { bind: freshEndpoint(transport), receiveHighWaterMark: 4, linger: 0 })
      const dealer = (routingId: string) =>
        openSocket("dealer", { connect: router.endpoints[0]!, routingId, sendHighWaterMark: 0, linger: 0 })
      const [slow, good] = [yield* dealer(lane), yield* dealer("good")]
      for (const number of numbers(0, 20)) for (const { port } of [slow, good]) port.offer(`${number}`)
      // Over inproc all is there, as the dealers have no mark.
      yield* until(Effect.sync(() => router.port.ready === (transport === "inproc" ? 40 : 8)))
      return { router, slow, good }
    })
  const said = (name: string, from = 0, to = 20) => numbers(from, to).map((number) => [name, `${number}`])

  for (const transport of ["inproc", "tcp"] as const) {
    live(
      `has all of the others meanwhile, and then all of theirs, in order, over ${transport}`,
      Effect.gen(function* () {
        const { router } = yield* filled(transport)
        router.port.holdBack!(lane, true)
        router.port.holdBack!(lane, true)
        for (const message of said("good")) expect(yield* next(router)).toEqual(message)
        yield* turns(5)
        expect(router.port.ready).toBe(0)
        let told = 0
        ownerOf(router).onMessages = () => void told++
        router.port.listen()
        yield* turns(3)
        expect(told).toBe(0)
        router.port.holdBack!(lane, false)
        router.port.holdBack!(lane, false)
        yield* until(Effect.sync(() => told === 1))
        for (const message of said(lane)) expect(yield* next(router)).toEqual(message)
      })
    )

    live(
      `has all of one that leaves, over ${transport}`,
      Effect.gen(function* () {
        const { router, slow } = yield* filled(transport)
        router.port.holdBack!(lane, true)
        for (const message of said("good")) expect(yield* next(router)).toEqual(message)
        slow.port.disconnect(router.endpoints[0]!)
        // Over tcp it has said more than there is room for: who does not read on does not see its end.
        if (transport === "tcp") router.port.holdBack!(lane, false)
        for (const message of said(lane, 0, transport === "tcp" ? 4 : 20)) expect(yield* next(router)).toEqual(message)
        // Then there is nobody to hold back.
        yield* until(Effect.sync(() => all(router).length === 0 && router.port.peers === 1))
        for (const isHeldBack of [true, false]) router.port.holdBack!(lane, isHeldBack)
        expect(router.port.ready).toBe(0)
      })
    )
  }

  live(
    "leaves with them what there is no room for",
    Effect.gen(function* () {
      const { router, slow } = yield* filled("tcp")
      router.port.holdBack!(lane, true)
      for (const message of said("good")) expect(yield* next(router)).toEqual(message)
      const { pipes } = router.port as unknown as { readonly pipes: Iterable<{ readonly inbox: { length: number } }> }
      for (let i = 0; i < 64; i++) slow.port.offer(Buffer.alloc(2 ** 20))
      yield* turns(20)
      expect([...pipes].map(({ inbox }) => inbox.length).toSorted()).toEqual([0, 4])
    })
  )

  live(
    "leaves with them what is more than 1,000, without a mark too",
    Effect.gen(function* () {
      const router = yield* openSocket("router", { bind: freshEndpoint("tcp"), receiveHighWaterMark: 0, linger: 0 })
      const slow = yield* openSocket("dealer", { connect: router.endpoints[0]!, routingId: lane, linger: 0 })
      slow.port.offer("0")
      expect(yield* next(router)).toEqual([lane, "0"])
      router.port.holdBack!(lane, true)
      const padding = " ".repeat(10_000)
      let sent = 1
      const fill = Effect.sync(() => {
        while (slow.port.offer(`${sent}${padding}`) === "sent") sent++
        return router.port.waiting
      })
      yield* until(Effect.map(fill, (waiting) => waiting === 1000))
      yield* Effect.andThen(Effect.andThen(turns(20), fill), turns(20))
      expect([router.port.ready, router.port.waiting]).toEqual([0, 1000])
      router.port.holdBack!(lane, false)
      expect([router.port.ready >= 1000, router.port.waiting]).toEqual([true, 0])
      for (const number of numbers(1, sent)) expect((yield* next(router))[1]).toBe(`${number}${padding}`)
    })
  )

  live(
    "says how much is on its way to them",
    Effect.gen(function* () {
      const { router, slow } = yield* filled("inproc")
      for (const number of numbers(0, 7)) router.port.offer([lane, `${number}`])
      expect(router.port.holdBack!(lane, true)).toBe(7)
      yield* next(slow)
      expect(router.port.holdBack!(lane, true)).toBe(6)
      expect(router.port.holdBack!(lane, false)).toBe(6)
      expect(router.port.holdBack!("nobody", true)).toBe(0)
    })
  )

  live(
    "counts what was there of them when nobody receives any more",
    Effect.gen(function* () {
      const { router } = yield* filled("inproc")
      router.port.holdBack!(lane, true)
      expect([router.port.ready, router.port.waiting]).toEqual([20, 20])
      const waiting = yield* openSocket("dealer", { connect: router.endpoints[0]!, routingId: "good", linger: 0 })
      waiting.port.offer("of one that waits for the name")
      router.port.dismiss()
      expect(router.port.left).toBe(41)
    })
  )

  live(
    "has what another of its name had said meanwhile",
    Effect.gen(function* () {
      const router = yield* openSocket("router", { bind: freshEndpoint("inproc"), linger: 0 })
      const named = { connect: router.endpoints[0]!, routingId: lane, linger: 0 }
      for (const text of ["first", "second"]) {
        const dealer = yield* openSocket("dealer", named)
        for (const i of [1, 2]) dealer.port.offer(`${text} ${i}`)
        if (text === "first") dealer.port.disconnect(named.connect)
      }
      const of = (text: string) => [1, 2].map((i) => [lane, `${text} ${i}`])
      for (const isHeldBack of [true, false, true]) {
        router.port.holdBack!(lane, isHeldBack)
        expect(router.port.ready).toBe(2)
      }
      expect(all(router)).toEqual(of("first"))
      router.port.holdBack!(lane, false)
      expect(all(router)).toEqual(of("second"))
    })
  )

  live(
    "takes messages fairly from all that are not held back, whenever that changes",
    Effect.gen(function* () {
      const router = yield* openSocket("router", { bind: freshEndpoint("inproc"), linger: 0 })
      const random = randomFrom(Number(process.env.HELD_SEED ?? Date.now() % 1_000_000))
      const names = ["a", "b", "c", "d", "e"]
      const dealers = yield* Effect.forEach(names, (routingId) =>
        openSocket("dealer", { connect: router.endpoints[0]!, routingId, linger: 0 })
      )
      // What each has sent that was not taken, who is held back, and how many others came since it was its turn.
      const waiting = names.map(() => [] as Array<string>)
      const isHeldBack = names.map(() => false)
      const passed = names.map(() => 0)
      for (let i = 0, sent = 0; i < 20_000; i++) {
        const at = random(names.length)
        const what = random(100)
        if (what < 10) {
          isHeldBack[at] = random(2) === 0
          passed[at] = 0
          router.port.holdBack!(names[at]!, isHeldBack[at]!)
        } else if (what < 55) {
          if (dealers[at]!.port.offer(`${sent}`) !== "sent") continue
          waiting[at]!.push(`${sent++}`)
        } else if (router.port.ready > 0) {
          const [name, text] = texts(router.port.take())
          const from = names.indexOf(name!)
          expect([isHeldBack[from], text]).toEqual([false, waiting[from]!.shift()])
          passed[from] = 0
          names.forEach((_, other) => {
            if (other !== from && !isHeldBack[other] && waiting[other]!.length > 0) passed[other]!++
            else if (other !== from) passed[other] = 0
            expect(passed[other]).toBeLessThan(2 * names.length)
          })
        }
        const takable = waiting.filter((_, name) => !isHeldBack[name]).reduce((sum, { length }) => sum + length, 0)
        expect(router.port.ready).toBe(takable)
      }
    })
  )
})

live(
  "a DEALER is told the end of those that it connected to alone",
  Effect.gen(function* () {
    const [bind, connect] = [freshEndpoint("inproc"), freshEndpoint("inproc")]
    const dealer = yield* openSocket("dealer", { bind, connect }, Buffer.from("farewell"))
    for (const [place, expected] of [
      [{ connect: bind }, []],
      [{ bind: connect }, [["farewell"]]]
    ] as const) {
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* openSocket("dealer", place)
          yield* until(Effect.sync(() => dealer.port.peers === 1))
        })
      )
      yield* until(Effect.sync(() => dealer.port.peers === 0))
      expect(all(dealer)).toEqual(expected)
    }
  })
)

describe("a STREAM", () => {
  live(
    "hears of nobody's coming and going with notify: false",
    Effect.gen(function* () {
      const stream = yield* openSocket("rawStream", { bind: freshEndpoint("tcp"), notify: false })
      const peer = yield* rude(stream, "PUSH")
      const [name, ...said] = yield* next(stream)
      expect(said.length).toBe(1)
      expect(said[0]!.length).toBeGreaterThan(0)
      expect(name!.length).toBeGreaterThan(0)
      peer.end()
      yield* until(Effect.sync(() => stream.port.peers === 0))
      expect(all(stream).filter(([, text]) => text === "")).toEqual([])
    })
  )

  live(
    "has no room for a peer that does not read, and tells who waits for it when it has gone",
    Effect.gen(function* () {
      const stream = yield* openSocket("rawStream", { bind: freshEndpoint("tcp"), sendHighWaterMark: 3 })
      const peer = yield* rude(stream, "PUSH")
      peer.pause()
      yield* until(Effect.sync(() => stream.port.ready > 0))
      const [name] = stream.port.take()
      // The kernel takes none of them as a whole.
      const offers = Array.from({ length: 4 }, () => stream.port.offer([name, Buffer.alloc(32 * 2 ** 20)]))
      expect(offers).toEqual(["sent", "sent", "sent", "full"])
      const told: Array<string> = []
      ownerOf(stream).onRoom = (lane) => void told.push(lane)
      stream.port.awaitRoom(name.toString("latin1"))
      yield* turns(5)
      expect(told).toEqual([])
      peer.resetAndDestroy()
      yield* until(Effect.sync(() => told.length > 0))
      expect(told).toEqual([name.toString("latin1")])
      expect(stream.port.offer([name, "x"])).toBe("unroutable")
    })
  )

  live(
    "tells who waits for room of it when the peer reads",
    Effect.gen(function* () {
      const stream = yield* openSocket("rawStream", { bind: freshEndpoint("tcp"), sendHighWaterMark: 2 })
      const peer = yield* rude(stream, "PUSH")
      peer.pause()
      yield* until(Effect.sync(() => stream.port.ready > 0))
      const [name] = stream.port.take()
      while (stream.port.offer([name, Buffer.alloc(32 * 2 ** 20)]) === "sent");
      const told: Array<string> = []
      ownerOf(stream).onRoom = (lane) => void told.push(lane)
      stream.port.awaitRoom(name.toString("latin1"))
      peer.resume()
      yield* until(Effect.sync(() => told.length > 0))
      expect(stream.port.offer([name, "", "more"])).toBe("sent")
    })
  )

  live(
    "hangs up on a peer with one empty frame, and sends nothing for an empty one among others",
    Effect.gen(function* () {
      const stream = yield* openSocket("rawStream", { bind: freshEndpoint("tcp") })
      const peer = yield* rude(stream, "PUSH")
      yield* until(Effect.sync(() => stream.port.ready > 0))
      const [name] = stream.port.take()
      let heard = ""
      peer.on("data", (bytes) => {
        heard += bytes
      })
      for (const message of [[name, "", "one"], [name], [name, "two", ""], [name, ""]])
        expect(stream.port.offer(message as never)).toBe("sent")
      expect(stream.port.offer([name, "late"])).toBe("unroutable")
      yield* Effect.callback<void>((resume) => void peer.once("end", () => resume(Effect.void)))
      expect(heard).toBe("onetwo")
    })
  )
})
