/** Whom PUSH, DEALER, REQ and PAIR send to, below the mailbox: each in turn, and nobody who has gone. */
import { describe, expect } from "@effect/vitest"
import { Effect } from "effect"
import { openSocket } from "../src/internal/socket/open.ts"
import { freshEndpoint, until } from "./support/sockets.ts"
import { all, live, next, type Opened, ownerOf, turns } from "./support/zmtpPort.ts"

const peersOf = ({ port }: Opened, count: number): Effect.Effect<void> => until(Effect.sync(() => port.peers === count))

const offers = ({ port }: Opened, texts: ReadonlyArray<string>): void => {
  for (const text of texts) expect(port.offer(text)).toBe("sent")
}

for (const transport of ["inproc", "tcp"] as const)
  describe(`over ${transport}`, () => {
    live(
      "nothing is sent to who has gone, and whose turn it was stays whose turn it is",
      Effect.gen(function* () {
        const push = yield* openSocket("push", { bind: freshEndpoint(transport) })
        const pulls: Array<Opened> = []
        for (const count of [1, 2, 3]) {
          pulls.push(yield* openSocket("pull", { connect: push.endpoints[0]! }))
          yield* peersOf(push, count)
        }
        const [one, two, three] = pulls as [Opened, Opened, Opened]
        offers(push, ["1", "2"])
        expect([yield* next(one), yield* next(two)]).toEqual([["1"], ["2"]])
        one.port.disconnect(push.endpoints[0]!)
        yield* peersOf(push, 2)
        offers(push, ["3", "4", "5", "6"])
        const rest = [next(three), next(two), next(three), next(two)]
        expect(yield* Effect.all(rest)).toEqual([["3"], ["4"], ["5"], ["6"]])
      })
    )

    live(
      "who was connected to has one turn, as anybody, also when it has been behind",
      Effect.gen(function* () {
        const options = { bind: freshEndpoint(transport), receiveHighWaterMark: 0 }
        const [one, two] = yield* Effect.all([
          openSocket("pull", options),
          openSocket("pull", { ...options, bind: freshEndpoint(transport) })
        ])
        const push = yield* openSocket("push", { connect: [one.endpoints[0]!, two.endpoints[0]!] })
        yield* peersOf(push, 2)
        for (let i = 0; i < 5; i++) {
          offers(push, [`${i} 1`, `${i} 2`])
          expect(yield* Effect.all([next(one), next(two)])).toEqual([[`${i} 1`], [`${i} 2`]])
        }
      })
    )
  })

for (const type of ["push", "dealer", "req", "pair"] as const)
  live(
    `who waits to send by a ${type} is told when there is a way, though nobody is there yet`,
    Effect.gen(function* () {
      const socket = yield* openSocket(type, {})
      expect(socket.port.offer("hello")).toBe("full")
      let told = 0
      ownerOf(socket).onRoom = () => void told++
      socket.port.awaitRoom("")
      yield* turns(2)
      expect(told).toBe(0)
      socket.port.connect(freshEndpoint("inproc"), () => {})
      yield* until(Effect.sync(() => told === 1))
      expect(socket.port.offer("hello")).toBe("sent")
    })
  )

live(
  "a PAIR that has a partner is none to another, who may have one of its own",
  Effect.gen(function* () {
    const places = [freshEndpoint("inproc"), freshEndpoint("inproc")]
    const [first, second] = yield* Effect.forEach(places, (bind) => openSocket("pair", { bind }))
    const pair = yield* openSocket("pair", { connect: places })
    expect([pair, first!, second!].map(({ port }) => port.peers)).toEqual([1, 1, 0])
    const other = yield* openSocket("pair", { connect: places[1]! })
    other.port.offer("hello")
    expect(all(second!)).toEqual([["hello"]])
  })
)
