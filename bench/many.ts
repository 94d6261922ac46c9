/** Many peers, many fibers, and senders that are faster than their receivers. */
import { readFileSync } from "node:fs"
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises"
import { Effect, Fiber } from "effect"
import { Zmq } from "effect-zmq"
import * as zmq from "zeromq"
import {
  address,
  count,
  expectCount,
  handle,
  latenciesOf,
  perMessage,
  quick,
  type Sample,
  type Workload
} from "./harness.ts"
import { Peer, payload } from "./peer.ts"

const message = payload(16)
const floodedSockets = 50

const timed = (messages: number, run: Effect.Effect<unknown, unknown>): Effect.Effect<Sample, unknown> =>
  Effect.promise(() => perMessage(messages, () => Effect.runPromise(run)))

// -----------------------------------------------------------------------------
// PUB to many SUBs
// -----------------------------------------------------------------------------

const publish = (subscribers: number): Workload => {
  const messages = Math.ceil(count(16_000) / subscribers)
  const all = messages * subscribers
  return {
    name: `PUB to ${subscribers} SUB over inproc`,
    unit: "µs/message received",
    contenders: {
      "send(), for await": async () => {
        const endpoint = address()
        const pub = new zmq.Publisher({ sendHighWaterMark: 0, linger: 0 })
        pub.bindSync(endpoint)
        const subs = Array.from({ length: subscribers }, () => {
          const sub = new zmq.Subscriber({ receiveHighWaterMark: 0, linger: 0 })
          sub.connect(endpoint)
          sub.subscribe("")
          return sub
        })
        // The PUB sees the subscriptions when it next sends.
        let received = 0
        const consume = async (sub: zmq.Subscriber) => {
          let own = 0
          for await (const _ of sub) {
            received++
            if (++own === messages) break
          }
        }
        const sample = await perMessage(all, async () => {
          const consumers = subs.map(consume)
          for (let sent = 0; sent < messages; sent++) await pub.send(message)
          await Promise.all(consumers)
        })
        for (const socket of [pub, ...subs]) socket.close()
        expectCount("zeromq.js", received, all)
        return sample
      },
      "sendAll, runForEach": () =>
        Effect.gen(function* () {
          const endpoint = address()
          const pub = yield* Zmq.pub({ bind: endpoint, sendHighWaterMark: 0 })
          const open = Zmq.sub({ connect: endpoint, subscribe: [""], receiveHighWaterMark: 0 })
          const subs = yield* Effect.all(Array(subscribers).fill(open) as Array<typeof open>)
          let received = 0
          const consume = (sub: Zmq.Sub) =>
            handle(sub, messages, () => {
              received++
            })
          const program = Effect.gen(function* () {
            const consumers = yield* Effect.forEach(subs, (sub) => Effect.forkChild(consume(sub)))
            yield* pub.sendAll(Array(messages).fill(message))
            yield* Effect.forEach(consumers, (consumer) => Fiber.join(consumer))
          })
          const sample = yield* timed(all, program)
          expectCount("effect-zmq", received, all)
          return sample
        }).pipe(Effect.scoped, Effect.runPromise)
    }
  }
}

// -----------------------------------------------------------------------------
// a ROUTER that answers 1,000 DEALERs
// -----------------------------------------------------------------------------

const dealers = 1000

/** Dealers that have sent their requests; counts the replies at the end. */
const withDealers = async (perDealer: number, serve: (endpoint: string) => Promise<Sample>): Promise<Sample> => {
  const endpoint = address()
  const sockets = Array.from({ length: dealers }, () => {
    const socket = new zmq.Dealer({ linger: 0, sendTimeout: 0, receiveTimeout: 1000 })
    socket.connect(endpoint)
    return socket
  })
  for (const socket of sockets) for (let sent = 0; sent < perDealer; sent++) await socket.send(["", message])
  const sample = await serve(endpoint)
  let replies = 0
  for (const socket of sockets) {
    for (let received = 0; received < perDealer; received++) {
      await socket.receive()
      replies++
    }
    socket.close()
  }
  expectCount("replies", replies, dealers * perDealer)
  return sample
}

const router = (): Workload => {
  const perDealer = count(20)
  const all = dealers * perDealer
  return {
    name: "ROUTER answers 1,000 DEALER over inproc",
    unit: "µs/request",
    contenders: {
      "for await, send()": () =>
        withDealers(perDealer, async (endpoint) => {
          const socket = new zmq.Router({
            linger: 5000,
            mandatory: true,
            receiveHighWaterMark: 0,
            sendHighWaterMark: 0
          })
          socket.bindSync(endpoint)
          const sample = await perMessage(all, async () => {
            let served = 0
            for await (const [id, empty, body] of socket) {
              await socket.send([id!, empty!, body!])
              if (++served === all) break
            }
          })
          socket.close()
          return sample
        }),
      "recv, send": () =>
        withDealers(perDealer, (endpoint) =>
          Effect.gen(function* () {
            const socket = yield* Zmq.router({ bind: endpoint, receiveHighWaterMark: 0, sendHighWaterMark: 0 })
            const program = Effect.gen(function* () {
              for (let served = 0; served < all; served++) yield* socket.send(yield* socket.recv)
            })
            return yield* timed(all, program)
          }).pipe(Effect.scoped, Effect.runPromise)
        ),
      serve: () =>
        withDealers(perDealer, (endpoint) =>
          Effect.gen(function* () {
            const socket = yield* Zmq.router({ bind: endpoint, receiveHighWaterMark: 0, sendHighWaterMark: 0 })
            let served = 0
            const handler = (body: Zmq.Message) => {
              served++
              return Effect.succeed(body)
            }
            const serving = socket.serve(handler)
            const program = Effect.gen(function* () {
              const fiber = yield* Effect.forkChild(serving)
              while (served < all) yield* Effect.yieldNow
              yield* Effect.yieldNow
              yield* Fiber.interrupt(fiber)
            })
            return yield* timed(all, program)
          }).pipe(Effect.scoped, Effect.runPromise)
        )
    }
  }
}

// -----------------------------------------------------------------------------
// many fibers that receive from one socket
// -----------------------------------------------------------------------------

/** Waits for the next batch until the one before is received. */
const fanIn = (fibers: number, messages: number, atOnce: number) => (): Promise<Sample> =>
  Effect.gen(function* () {
    const socket = yield* Zmq.pull({ bind: address(), receiveHighWaterMark: 0 })
    const sender = yield* Zmq.push({ connect: socket.endpoints[0]!, sendHighWaterMark: 0 })
    let received = 0
    const worker = Effect.gen(function* () {
      while (true) {
        yield* socket.recv
        received++
      }
    })
    // All of them wait before the first message is there.
    const workers = yield* Effect.forEach(Array(fibers).fill(worker) as Array<typeof worker>, (one) =>
      Effect.forkChild(one, { startImmediately: true })
    )
    const batches = Math.ceil(messages / atOnce)
    const batch = Array<Buffer>(atOnce).fill(message)
    const program = Effect.gen(function* () {
      for (let sent = 1; sent <= batches; sent++) {
        yield* sender.sendAll(batch)
        while (received < sent * atOnce) yield* Effect.yieldNow
      }
    })
    const sample = yield* timed(batches * atOnce, program)
    yield* Fiber.interruptAll(workers)
    expectCount("effect-zmq", received, batches * atOnce)
    return sample
  }).pipe(Effect.scoped, Effect.runPromise)

/** The same with one receiver of zeromq.js, which has no more than one. */
const fanInRaw = (messages: number, atOnce: number) => async (): Promise<Sample> => {
  const socket = new zmq.Pull({ receiveHighWaterMark: 0, linger: 0 })
  const sender = new zmq.Push({ sendHighWaterMark: 0, linger: 0 })
  const endpoint = address()
  socket.bindSync(endpoint)
  sender.connect(endpoint)
  const batches = Math.ceil(messages / atOnce)
  let received = 0
  const receive = async () => {
    for await (const _ of socket) if (++received === batches * atOnce) break
  }
  const sample = await perMessage(batches * atOnce, async () => {
    const receiving = receive()
    for (let batch = 1; batch <= batches; batch++) {
      for (let sent = 0; sent < atOnce; sent++) await sender.send(message)
      while (received < batch * atOnce) await nextTurn()
    }
    await receiving
  })
  socket.close()
  sender.close()
  expectCount("zeromq.js", received, batches * atOnce)
  return sample
}

const waiting = (name: string, messages: number, atOnce: number): Workload => ({
  name,
  unit: "µs/message sent and received",
  contenders: {
    "for await": fanInRaw(messages, atOnce),
    "1 fiber": fanIn(1, messages, atOnce),
    "10 fibers": fanIn(10, messages, atOnce),
    "1,000 fibers": fanIn(1000, messages, atOnce)
  }
})

// -----------------------------------------------------------------------------
// backpressure
// -----------------------------------------------------------------------------

const backpressure = (highWaterMark: number): Workload => {
  const messages = count(highWaterMark < 10 ? 3000 : 10_000)
  const ours = (send: (socket: Zmq.Push) => Effect.Effect<unknown, unknown>) => () =>
    Effect.gen(function* () {
      const socket = yield* Zmq.pull({ bind: address(), receiveHighWaterMark: highWaterMark })
      const sender = yield* Zmq.push({ connect: socket.endpoints[0]!, sendHighWaterMark: highWaterMark })
      let received = 0
      const receive = handle(socket, messages, () => {
        received++
      })
      const sample = yield* timed(messages, Effect.all([send(sender), receive], { concurrency: 2 }))
      expectCount("effect-zmq", received, messages)
      return sample
    }).pipe(Effect.scoped, Effect.runPromise)
  return {
    name: `high-water mark ${highWaterMark} over inproc`,
    unit: "µs/message",
    contenders: {
      "await send(), for await": async () => {
        const endpoint = address()
        const socket = new zmq.Pull({ receiveHighWaterMark: highWaterMark, linger: 0 })
        const sender = new zmq.Push({ sendHighWaterMark: highWaterMark, linger: 0 })
        socket.bindSync(endpoint)
        sender.connect(endpoint)
        let received = 0
        const receive = async () => {
          for await (const _ of socket) if (++received === messages) break
        }
        const send = async () => {
          for (let sent = 0; sent < messages; sent++) await sender.send(message)
        }
        const sample = await perMessage(messages, () => Promise.all([receive(), send()]))
        socket.close()
        sender.close()
        expectCount("zeromq.js", received, messages)
        return sample
      },
      "send, runForEach": ours((socket) =>
        Effect.gen(function* () {
          for (let sent = 0; sent < messages; sent++) yield* socket.send(message)
        })
      ),
      "sendAll, runForEach": ours((socket) => socket.sendAll(Array(messages).fill(message)))
    }
  }
}

// -----------------------------------------------------------------------------
// many sockets that are flooded
// -----------------------------------------------------------------------------

/** Milliseconds for which the main thread had work and no processor, where the system tells. */
const waitedForProcessor = (): number => {
  try {
    return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, "latin1").split(" ")[1]) / 1e6
  } catch {
    return 0
  }
}

/** How late a timer of 1 ms is, while `received` grows for each socket. */
const lateness = async (endpoints: ReadonlyArray<string>, received: ReadonlyArray<number>): Promise<Sample> => {
  const peer = new Peer()
  try {
    await peer.do({ what: "flood", endpoints, bytes: 16 })
    while (received.some((count) => count === 0)) await sleep(1)
    const before = [...received]
    const late: Array<number> = []
    const own: Array<number> = []
    for (const end = performance.now() + (quick ? 1000 : 3000); performance.now() < end; ) {
      const armed = performance.now()
      const waited = waitedForProcessor()
      await sleep(1)
      late.push(performance.now() - armed - 1)
      own.push(late.at(-1)! - (waitedForProcessor() - waited))
    }
    const served = received.filter((count, socket) => count > before[socket]!).length
    expectCount("sockets that were served", served, endpoints.length)
    const { p99 } = latenciesOf("timers", own, late.length)
    return { ...latenciesOf("timers", late, late.length), "p99 but for the wait for a processor": p99! }
  } finally {
    await peer.close()
  }
}

const flooded = (): Workload => ({
  name: `${floodedSockets} flooded sockets`,
  unit: "ms that a 1 ms timer is late",
  once: true,
  contenders: {
    "for await": async () => {
      const received = Array<number>(floodedSockets).fill(0)
      const pulls = received.map((_, at) => {
        const pull = new zmq.Pull({ linger: 0 })
        pull.bindSync(address("tcp"))
        const receive = async () => {
          for await (const _ of pull) received[at]!++
        }
        receive().catch(() => {})
        return pull
      })
      try {
        return await lateness(
          pulls.map((pull) => pull.lastEndpoint!),
          received
        )
      } finally {
        for (const pull of pulls) pull.close()
      }
    },
    runForEach: () =>
      Effect.gen(function* () {
        const received = Array<number>(floodedSockets).fill(0)
        const pulls = yield* Effect.forEach(received, () => Zmq.pull({ bind: address("tcp") }))
        for (const [at, pull] of pulls.entries()) {
          const count = Effect.sync(() => received[at]!++)
          yield* Effect.forkScoped(pull.runForEach(() => count))
        }
        return yield* Effect.promise(() =>
          lateness(
            pulls.map((pull) => pull.endpoints[0]!),
            received
          )
        )
      }).pipe(Effect.scoped, Effect.runPromise)
  }
})

export const many = (): Array<Workload> => [
  publish(1),
  publish(10),
  publish(100),
  router(),
  waiting("fibers that wait for one message at a time", count(4000), 1),
  waiting("fibers that wait for 1,000 messages at a time", count(16_000), 1000),
  backpressure(1),
  backpressure(10),
  backpressure(1000),
  flooded()
]
