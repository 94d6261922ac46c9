/** Request and reply: how long a round trip takes, alone and among others. */
import { Effect } from "effect"
import { Zmq } from "effect-zmq"
import * as zmq from "zeromq"
import { count, Kept, latenciesOf, type Sample, type Workload } from "./harness.ts"
import { Peer, payload } from "./peer.ts"

const request = payload(16)

/** Times each round trip, in microseconds. */
class Clock {
  readonly times: Array<number> = []
  add(start: number): void {
    this.times.push((performance.now() - start) * 1000)
  }
  sample(expected: number): Sample {
    return latenciesOf("round trips", this.times, expected)
  }
}

/** The first round trips connect or warm up, and do not count. */
const unmeasured = 20

type Call = () => Promise<unknown>

const inTurn = async (trips: number, call: Call): Promise<Sample> => {
  for (let done = 0; done < unmeasured; done++) await call()
  const clock = new Clock()
  for (let done = 0; done < trips; done++) {
    const start = performance.now()
    await call()
    clock.add(start)
  }
  return clock.sample(trips)
}

const inTurnOurs = (trips: number, call: Effect.Effect<unknown, unknown>): Effect.Effect<Sample, unknown> =>
  Effect.gen(function* () {
    for (let done = 0; done < unmeasured; done++) yield* call
    const clock = new Clock()
    for (let done = 0; done < trips; done++) {
      const start = performance.now()
      yield* call
      clock.add(start)
    }
    return clock.sample(trips)
  })

/** Many callers, each with one call in flight. Also measures the mean cost of a round trip. */
const atOnce = async (trips: number, callers: number, call: Call): Promise<Sample> => {
  const clock = new Clock()
  const caller = async () => {
    while (started++ < trips) {
      const start = performance.now()
      await call()
      clock.add(start)
    }
  }
  let started = trips - unmeasured
  await caller()
  clock.times.length = 0
  started = 0
  const start = performance.now()
  await Promise.all(Array.from({ length: callers }, caller))
  return { mean: ((performance.now() - start) * 1000) / trips, ...clock.sample(trips) }
}

const atOnceOurs = (trips: number, callers: number, call: Effect.Effect<unknown, unknown>) =>
  Effect.gen(function* () {
    for (let done = 0; done < unmeasured; done++) yield* call
    const clock = new Clock()
    let started = 0
    const caller = Effect.gen(function* () {
      while (started++ < trips) {
        const start = performance.now()
        yield* call
        clock.add(start)
      }
    })
    const start = performance.now()
    yield* Effect.forEach(Array(callers).fill(caller) as Array<typeof caller>, (one) => one, {
      concurrency: callers,
      discard: true
    })
    return { mean: ((performance.now() - start) * 1000) / trips, ...clock.sample(trips) }
  })

// What a user of zeromq.js writes by hand to have many requests in flight.
const rawDealer = async (endpoint: string, run: (call: Call) => Promise<Sample>): Promise<Sample> => {
  const socket = new zmq.Dealer({ linger: 0, sendTimeout: 0 })
  socket.connect(endpoint)
  const waiting = new Map<number, (reply: Array<Buffer>) => void>()
  let next = 0
  const receive = async () => {
    for await (const [id, , ...reply] of socket) {
      const number = id!.readUInt32BE()
      waiting.get(number)?.(reply)
      waiting.delete(number)
    }
  }
  const received = receive().catch(() => {})
  const call = async () => {
    const number = next++
    const id = Buffer.allocUnsafe(4)
    id.writeUInt32BE(number)
    const reply = new Promise<Array<Buffer>>((resolve) => waiting.set(number, resolve))
    await socket.send([id, "", request])
    return reply
  }
  const sample = await run(call)
  socket.close()
  await received
  return sample
}

const echo = (kept: Kept, type: "rep" | "router") =>
  kept.keep(Effect.flatMap(Peer.make, (peer) => Effect.promise(() => peer.do({ what: "echo", type }))))

const alone = (): Workload => {
  const trips = count(200)
  const kept = new Kept()
  const endpoint = Effect.promise(echo(kept, "rep"))
  const rawReq = kept.keep(
    Effect.acquireRelease(
      Effect.map(endpoint, (endpoint) => {
        const socket = new zmq.Request({ correlate: true, relaxed: true, linger: 0 })
        socket.connect(endpoint)
        return socket
      }),
      (socket) => Effect.sync(() => socket.close())
    )
  )
  const req = kept.keep(Effect.flatMap(endpoint, (connect) => Zmq.req({ connect, linger: 0 })))
  const dealer = kept.keep(Effect.flatMap(endpoint, (connect) => Zmq.dealer({ connect, linger: 0 })))
  return {
    name: "round trip REQ/REP over tcp",
    unit: "µs",
    once: true,
    short: true,
    contenders: {
      "send(), receive()": async () => {
        const socket = await rawReq()
        return inTurn(trips, async () => {
          await socket.send(request)
          return socket.receive()
        })
      },
      wrapper: async () => {
        const socket = await rawReq()
        const call = Effect.tryPromise(() => socket.send(request)).pipe(
          Effect.andThen(Effect.tryPromise(() => socket.receive()))
        )
        return Effect.runPromise(inTurnOurs(trips, call))
      },
      request: async () => Effect.runPromise(inTurnOurs(trips, (await req()).request(request))),
      "DEALER request": async () => Effect.runPromise(inTurnOurs(trips, (await dealer()).request(request)))
    },
    close: kept.close
  }
}

const many = (): Workload => {
  const trips = count(4000)
  const kept = new Kept()
  const endpoint = echo(kept, "router")
  return {
    name: "64 round trips DEALER/ROUTER at once over tcp",
    unit: "µs",
    contenders: {
      "zeromq.js by hand": async () => rawDealer(await endpoint(), (call) => atOnce(trips, 64, call)),
      request: async () =>
        Zmq.dealer({ connect: await endpoint(), linger: 0 }).pipe(
          Effect.flatMap((socket) => atOnceOurs(trips, 64, socket.request(request))),
          Effect.scoped,
          Effect.runPromise
        )
    },
    close: kept.close
  }
}

const workloads = (): Array<Workload> => [alone(), many()]

export { workloads as request }
