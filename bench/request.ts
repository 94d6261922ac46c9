/** Request and reply: how long a round trip takes, alone and among others. */
import { Effect, type Scope } from "effect"
import { Zmq } from "effect-zmq"
import * as zmq from "zeromq"
import { count, expectCount, type Sample, spreadOf, type Workload } from "./harness.ts"
import { Peer, payload } from "./peer.ts"

const request = payload(16)

/** Times each round trip, in microseconds. */
class Clock {
  readonly times: Array<number> = []
  add(start: number): void {
    this.times.push((performance.now() - start) * 1000)
  }
  sample(expected: number): Sample {
    expectCount("round trips", this.times.length, expected)
    const sorted = this.times.toSorted((a, b) => a - b)
    return { median: spreadOf(sorted).median, p99: sorted[Math.floor(sorted.length * 0.99)]! }
  }
}

/** The first round trips connect and warm up, and do not count. */
const unmeasured = 300

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

const rawReq = async (endpoint: string, run: (socket: zmq.Request) => Promise<Sample>): Promise<Sample> => {
  const socket = new zmq.Request({ correlate: true, relaxed: true, linger: 0 })
  socket.connect(endpoint)
  const sample = await run(socket)
  socket.close()
  return sample
}

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

const scoped = <A>(effect: Effect.Effect<A, unknown, Scope.Scope>): Promise<A> =>
  Effect.runPromise(Effect.scoped(effect))

const workloads = (): Array<Workload> => {
  const peers: Array<Peer> = []
  const echoes = new Map<string, Promise<string>>()
  const echo = (type: "rep" | "router"): Promise<string> => {
    const known = echoes.get(type)
    if (known !== undefined) return known
    const peer = new Peer()
    peers.push(peer)
    const endpoint = peer.do({ what: "echo", type })
    echoes.set(type, endpoint)
    return endpoint
  }
  const close = async () => {
    for (const peer of peers.splice(0)) await peer.close()
    echoes.clear()
  }
  const trips = count(2000)
  const many = count(4000)
  return [
    {
      name: "round trip REQ/REP over tcp",
      unit: "µs",
      once: true,
      contenders: {
        "send(), receive()": async () =>
          rawReq(await echo("rep"), (socket) =>
            inTurn(trips, async () => {
              await socket.send(request)
              return socket.receive()
            })
          ),
        wrapper: async () =>
          rawReq(await echo("rep"), (socket) => {
            const call = Effect.tryPromise(() => socket.send(request)).pipe(
              Effect.andThen(Effect.tryPromise(() => socket.receive()))
            )
            return Effect.runPromise(inTurnOurs(trips, call))
          }),
        request: async () => {
          const endpoint = await echo("rep")
          return scoped(
            Effect.flatMap(Zmq.req({ connect: endpoint, linger: 0 }), (socket) =>
              inTurnOurs(trips, socket.request(request))
            )
          )
        },
        "DEALER request": async () => {
          const endpoint = await echo("rep")
          return scoped(
            Effect.flatMap(Zmq.dealer({ connect: endpoint, linger: 0 }), (socket) =>
              inTurnOurs(trips, socket.request(request))
            )
          )
        }
      },
      close
    },
    {
      name: "64 round trips DEALER/ROUTER at once over tcp",
      unit: "µs",
      contenders: {
        "zeromq.js by hand": async () => rawDealer(await echo("router"), (call) => atOnce(many, 64, call)),
        request: async () => {
          const endpoint = await echo("router")
          return scoped(
            Effect.flatMap(Zmq.dealer({ connect: endpoint, linger: 0 }), (socket) =>
              atOnceOurs(many, 64, socket.request(request))
            )
          )
        }
      },
      close
    }
  ]
}

export { workloads as request }
