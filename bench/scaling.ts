/** Whether a message costs the same among few and among many. */
import { Effect } from "effect"
import { Zmq } from "effect-zmq"
import * as zmq from "zeromq"
import { Mailbox } from "../src/internal/receive/mailbox.ts"
import { address, count, expectCount, perMessage, quick, type Sample, type Workload } from "./harness.ts"
import { payload } from "./peer.ts"

const message = payload(16)

const withBacklog = async (
  messages: number,
  times: number,
  drain: (messages: number) => Promise<{ endpoint: string; run: () => Promise<unknown>; close: () => Promise<unknown> }>
): Promise<Sample> => {
  const { endpoint, run, close } = await drain(messages)
  const sender = new zmq.Push({ sendHighWaterMark: 0, sendTimeout: 0, linger: 0 })
  sender.connect(endpoint)
  let total = 0
  for (let time = 0; time < times; time++) {
    let last: Promise<void> | undefined
    for (let sent = 0; sent < messages; sent++) last = sender.send(message)
    await last
    total += (await perMessage(messages, run)).mean!
  }
  sender.close()
  await close()
  return { mean: total / times }
}

const raw = (messages: number, times: number) => () =>
  withBacklog(messages, times, async () => {
    const socket = new zmq.Pull({ receiveHighWaterMark: 0, linger: 0 })
    const endpoint = address()
    socket.bindSync(endpoint)
    const run = async () => {
      let received = 0
      for await (const _ of socket) if (++received === messages) break
    }
    return { endpoint, run, close: async () => socket.close() }
  })

const ours = (messages: number, times: number) => () =>
  Effect.gen(function* () {
    const socket = yield* Zmq.pull({ bind: address(), receiveHighWaterMark: 0 })
    const program = Effect.gen(function* () {
      for (let received = 0; received < messages; received++) yield* socket.recvString
    })
    const sample = yield* Effect.promise(() =>
      withBacklog(messages, times, async () => ({
        endpoint: socket.endpoints[0]!,
        run: () => Effect.runPromise(program),
        close: async () => {}
      }))
    )
    expectCount("left over", (yield* socket.drain).length, 0)
    return sample
  }).pipe(Effect.scoped, Effect.runPromise)

const backlogs = (): Workload => {
  const contenders: Record<string, () => Promise<Sample>> = {}
  const sizes = quick ? [1000, 10_000, 100_000] : [1000, 10_000, 100_000, 1_000_000]
  for (const messages of sizes) {
    const times = Math.max(1, (quick ? 10_000 : 50_000) / messages)
    const label = messages.toLocaleString("en")
    contenders[`recvString, ${label}`] = ours(messages, times)
    contenders[`for await, ${label}`] = raw(messages, times)
  }
  return { name: "a backlog of so many messages", once: true, unit: "µs/message", contenders }
}

// The mailbox of a socket does not grow that long; `putBack` and CONFLATE aside
// it is the same code.
const mailbox = (held: number) => async (): Promise<Sample> => {
  const box = new Mailbox<Buffer>()
  for (let arrived = 0; arrived < held; arrived++) box.arrive(message)
  const messages = count(1_000_000)
  const sample = await perMessage(messages, async () => {
    for (let arrived = 0; arrived < messages; arrived++) {
      box.arrive(message)
      box.take()
    }
  })
  expectCount("mailbox", box.size, held)
  return { mean: sample.mean! * 1000 }
}

export const scaling = (): Array<Workload> => [
  backlogs(),
  {
    name: "a mailbox that holds so many messages",
    unit: "ns/message in and out",
    contenders: { "0": mailbox(0), "1,000": mailbox(1000), "100,000": mailbox(100_000) }
  }
]
