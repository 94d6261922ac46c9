/** Sending: one message at a time, many, and a stream of them. */
import { Effect, Stream } from "effect"
import { Zmq } from "effect-zmq"
import * as zmq from "zeromq"
import { address, count, expectCount, perMessage, type Sample, type Workload } from "./harness.ts"
import { payload } from "./peer.ts"

type Raw = (socket: zmq.Push, messages: ReadonlyArray<Buffer>) => Promise<unknown>
type Ours = (socket: Zmq.Push, messages: ReadonlyArray<Buffer>) => Effect.Effect<unknown, unknown>

interface Job {
  readonly transport: "inproc" | "tcp"
  readonly messages: number
  readonly bytes: number
}

/** A buffer for each message: libzmq may still hold it when the next is sent. */
const messagesOf = (job: Job): Array<Buffer> => Array.from({ length: job.messages }, () => payload(job.bytes))

// The receiver takes nothing until all is sent, and then counts.
const withReceiver = async (job: Job, send: (endpoint: string) => Promise<Sample>): Promise<Sample> => {
  const receiver = new zmq.Pull({ receiveHighWaterMark: 0, linger: 0, receiveTimeout: 5000 })
  receiver.bindSync(address(job.transport))
  const sample = await send(receiver.lastEndpoint!)
  for (let received = 0; received < job.messages; received++) await receiver.receive()
  expectCount("too many sent", receiver.readable ? 1 : 0, 0)
  receiver.close()
  return sample
}

const raw = (job: Job, send: Raw) => (): Promise<Sample> =>
  withReceiver(job, async (endpoint) => {
    const messages = messagesOf(job)
    const sender = new zmq.Push({ sendHighWaterMark: 0, linger: 5000 })
    sender.connect(endpoint)
    const sample = await perMessage(job.messages, () => send(sender, messages))
    sender.close()
    return sample
  })

const ours = (job: Job, send: Ours) => (): Promise<Sample> =>
  withReceiver(job, (endpoint) =>
    Effect.gen(function* () {
      const messages = messagesOf(job)
      const sender = yield* Zmq.push({ connect: endpoint, sendHighWaterMark: 0 })
      return yield* Effect.promise(() => perMessage(job.messages, () => Effect.runPromise(send(sender, messages))))
    }).pipe(Effect.scoped, Effect.runPromise)
  )

const awaitSend: Raw = async (socket, messages) => {
  for (const message of messages) await socket.send(message)
}

const wrapper: Raw = (socket, messages) =>
  Effect.runPromise(
    Effect.gen(function* () {
      for (const message of messages) yield* Effect.tryPromise(() => socket.send(message))
    })
  )

const send: Ours = (socket, messages) =>
  Effect.gen(function* () {
    for (const message of messages) yield* socket.send(message)
  })
const sendAll: Ours = (socket, messages) => socket.sendAll(messages)
const sink: Ours = (socket, messages) => Stream.run(Stream.fromIterable(messages), socket.sink)

const jobs: Readonly<Record<string, Job>> = {
  "send 16 B over inproc": { transport: "inproc", messages: 10_000, bytes: 16 },
  "send 16 B over tcp": { transport: "tcp", messages: 10_000, bytes: 16 },
  "send 1 KiB over tcp": { transport: "tcp", messages: 5000, bytes: 1024 }
}

const workloads = (): Array<Workload> =>
  Object.entries(jobs).map(([name, { messages, ...rest }]) => {
    const job = { ...rest, messages: count(messages) }
    return {
      name,
      unit: "µs/message",
      contenders: {
        "await send()": raw(job, awaitSend),
        wrapper: raw(job, wrapper),
        send: ours(job, send),
        sendAll: ours(job, sendAll),
        sink: ours(job, sink)
      }
    }
  })

export { workloads as send }
