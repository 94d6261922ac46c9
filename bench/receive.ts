/** Receiving: every way to do it, from a backlog and from another process. */
import { setTimeout as sleep } from "node:timers/promises"
import { Effect, Schema, Stream } from "effect"
import { Zmq } from "effect-zmq"
import * as zmq from "zeromq"
import { address, count, expectCount, handle, perMessage, quick, type Sample, type Workload } from "./harness.ts"
import { pyzmq, theLimit } from "./outside.ts"
import { Peer, payload } from "./peer.ts"

/** Receives so many messages and returns how many bytes or characters they had. */
type Raw = (socket: zmq.Pull, messages: number) => Promise<number>
type Program<Socket> = (socket: Socket, messages: number) => Effect.Effect<number, unknown>

const size = (message: ReadonlyArray<Buffer>): number => {
  let bytes = 0
  for (const frame of message) bytes += frame.length
  return bytes
}

// -----------------------------------------------------------------------------
// baselines
// -----------------------------------------------------------------------------

const forAwait =
  (read: (message: Array<Buffer>) => number): Raw =>
  async (socket, messages) => {
    let received = 0
    let total = 0
    for await (const message of socket) {
      total += read(message)
      if (++received === messages) break
    }
    return total
  }

const receiveLoop: Raw = async (socket, messages) => {
  let total = 0
  for (let received = 0; received < messages; received++) total += size(await socket.receive())
  return total
}

const asText = (message: Array<Buffer>): number => message[0]!.toString().length
const asJson = (message: Array<Buffer>): number => JSON.parse(message[0]!.toString()).length + 2

// -----------------------------------------------------------------------------
// what one does with an Effect, a stream or a handler
// -----------------------------------------------------------------------------

const loop =
  <Socket, A>(receive: (socket: Socket) => Effect.Effect<A, unknown>, read: (value: A) => number): Program<Socket> =>
  (socket, messages) => {
    const one = receive(socket)
    return Effect.gen(function* () {
      let total = 0
      for (let received = 0; received < messages; received++) total += read(yield* one)
      return total
    })
  }

const folded =
  <Socket, A>(stream: (socket: Socket) => Stream.Stream<A, unknown>, read: (value: A) => number): Program<Socket> =>
  (socket, messages) =>
    stream(socket).pipe(
      Stream.take(messages),
      Stream.runFold(
        () => 0,
        (total, value) => total + read(value)
      )
    )

// With an Effect for each element.
const handled =
  <A>(stream: (socket: Zmq.Pull) => Stream.Stream<A, unknown>, read: (value: A) => number): Program<Zmq.Pull> =>
  (socket, messages) =>
    Effect.suspend(() => {
      let total = 0
      const handle = (value: A) =>
        Effect.sync(() => {
          total += read(value)
        })
      return stream(socket).pipe(
        Stream.take(messages),
        Stream.runForEach(handle),
        Effect.map(() => total)
      )
    })

const length = (text: string): number => text.length
// Without its quotation marks.
const jsonLength = (text: string): number => text.length + 2

// -----------------------------------------------------------------------------
// the obvious wrapper
// -----------------------------------------------------------------------------

const wrapped = (socket: zmq.Pull) => Effect.tryPromise(() => socket.receive())
const wrappedText = (socket: zmq.Pull) => Effect.map(wrapped(socket), ([frame]) => frame!.toString())
const wrappedSchema = (socket: zmq.Pull) =>
  Effect.flatMap(wrappedText(socket), Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.String)))

const wrapper = loop(wrapped, size)
const wrapperText = loop(wrappedText, length)
const wrapperSchema = loop(wrappedSchema, jsonLength)
const wrapperStream = folded((socket: zmq.Pull) => Stream.fromEffectRepeat(wrappedText(socket)), length)
const wrapperHandler: Program<zmq.Pull> = (socket, messages) => {
  const receive = wrapped(socket)
  return Effect.gen(function* () {
    let total = 0
    const handler = (message: Array<Buffer>) => {
      total += size(message)
      return Effect.void
    }
    for (let received = 0; received < messages; received++) yield* handler(yield* receive)
    return total
  })
}

// -----------------------------------------------------------------------------
// ours
// -----------------------------------------------------------------------------

const runForEach =
  (concurrency: number): Program<Zmq.Pull> =>
  (socket, messages) =>
    Effect.suspend(() => {
      let total = 0
      const add = (message: Zmq.Message) => {
        total += size(message)
      }
      return Effect.map(handle(socket, messages, add, concurrency), () => total)
    })

const recv = loop((socket: Zmq.Pull) => socket.recv, size)
const recvString = loop((socket: Zmq.Pull) => socket.recvString, length)
const recvSchema = loop((socket: Zmq.Pull) => socket.recvSchema(Schema.String), jsonLength)
const viaAccessor = loop(() => Zmq.recvString as Effect.Effect<string>, length)
const strings = folded((socket: Zmq.Pull) => socket.strings, length)
const stringsHandled = handled((socket) => socket.strings, length)
const messages = folded((socket: Zmq.Pull) => socket.messages, size)

// -----------------------------------------------------------------------------
// where the messages come from
// -----------------------------------------------------------------------------

/** Gives a socket that is bound to `endpoint` so many messages, of which each has so many bytes. */
interface Source {
  readonly transport: "inproc" | "tcp" | "ipc"
  /** Connects. From a peer, a first message comes at once. */
  readonly open: (endpoint: string) => Promise<unknown>
  /** Sends. Resolves when all is on its way, if that is before the receiver starts. */
  readonly fill: () => Promise<unknown>
  readonly close: () => unknown
  readonly hello: boolean
  readonly messages: number
  readonly bytes: number
  readonly highWaterMark: number
}

/** A backlog from a socket of this process. */
const backlog = (messages: number, frame: Buffer, frames = 1): Source => {
  let socket: zmq.Push | undefined
  return {
    transport: "inproc",
    messages,
    bytes: frame.length * frames,
    highWaterMark: 0,
    hello: false,
    open: async (endpoint) => {
      socket = new zmq.Push({ sendHighWaterMark: 0, sendTimeout: 0, linger: 0 })
      socket.connect(endpoint)
      let last: Promise<void> | undefined
      for (let sent = 0; sent < messages; sent++) {
        last = socket.send(frames === 1 ? frame : Array.from({ length: frames }, () => frame))
      }
      await last
    },
    fill: async () => {},
    close: () => socket?.close()
  }
}

// Beyond so many bytes zeromq.js lends a buffer to libzmq. V8 would walk through
// all that a backlog of this process has lent, and collect it, while the clock runs.
const mostToCopy = 128

/** A backlog from another process, all of it with libzmq before the clock starts. */
const backlogFromPeer = (peer: () => Peer, messages: number, bytes: number): Source => ({
  transport: "tcp",
  messages,
  bytes,
  highWaterMark: 0,
  hello: true,
  open: async (endpoint) => {
    await peer().do({ what: "connect", endpoint, highWaterMark: 0 })
    await peer().do({ what: "send", messages, bytes })
    // What is still in the kernel.
    await sleep(50)
  },
  fill: async () => {},
  close: () => {}
})

const fromPeer = (transport: "tcp" | "ipc", peer: () => Peer, messages: number, bytes: number): Source => {
  const highWaterMark = bytes <= 1024 ? 0 : 100
  let sent: Promise<unknown> | undefined
  return {
    transport,
    messages,
    bytes,
    highWaterMark,
    hello: true,
    open: (endpoint) => peer().do({ what: "connect", endpoint, highWaterMark }),
    fill: async () => {
      sent = peer().do({ what: "send", messages, bytes })
    },
    close: () => sent
  }
}

const raw = (source: Source, receive: Raw) => async (): Promise<Sample> => {
  const socket = new zmq.Pull({ receiveHighWaterMark: source.highWaterMark, linger: 0 })
  socket.bindSync(address(source.transport))
  await source.open(socket.lastEndpoint!)
  if (source.hello) await socket.receive()
  let bytes = 0
  const sample = await perMessage(source.messages, async () => {
    await source.fill()
    bytes = await receive(socket, source.messages)
  })
  await source.close()
  socket.close()
  expectCount("zeromq.js", bytes / source.bytes, source.messages)
  return sample
}

const run =
  (program: Program<zmq.Pull>): Raw =>
  (socket, messages) =>
    Effect.runPromise(program(socket, messages))

const ours =
  (source: Source, receive: Program<Zmq.Pull>, accessed = false) =>
  (): Promise<Sample> =>
    Effect.gen(function* () {
      const options = { bind: address(source.transport), receiveHighWaterMark: source.highWaterMark, linger: 0 }
      const socket = yield* Zmq.pull(options)
      yield* Effect.promise(() => source.open(socket.endpoints[0]!))
      if (source.hello) yield* socket.recv
      const program = receive(socket, source.messages)
      let bytes = 0
      const sample = yield* Effect.promise(() =>
        perMessage(source.messages, async () => {
          await source.fill()
          bytes = await Effect.runPromise(accessed ? Effect.provideService(program, Zmq.Receiver, socket) : program)
        })
      )
      yield* Effect.promise(async () => source.close())
      expectCount("effect-zmq", bytes / source.bytes, source.messages)
      return sample
    }).pipe(Effect.scoped, Effect.runPromise)

const main = (source: Source): Workload["contenders"] => ({
  "for await": raw(source, forAwait(size)),
  "for await, text": raw(source, forAwait(asText)),
  wrapper: raw(source, run(wrapper)),
  "wrapper, text": raw(source, run(wrapperText)),
  recv: ours(source, recv),
  recvString: ours(source, recvString),
  strings: ours(source, strings),
  messages: ours(source, messages),
  runForEach: ours(source, runForEach(1))
})

const sizes = [
  { label: "16 B", bytes: 16, messages: 10_000 },
  { label: "128 B", bytes: 128, messages: 10_000 },
  { label: "1 KiB", bytes: 1024, messages: 5000 },
  { label: "64 KiB", bytes: 65_536, messages: 2000 },
  { label: "1 MiB", bytes: 1_048_576, messages: 100 }
]

export const receive = (): Array<Workload> => {
  let peer: Peer | undefined
  const thePeer = () => {
    peer ??= new Peer()
    return peer
  }
  const close = async () => {
    await peer?.close()
    peer = undefined
  }
  const fromBacklog = sizes.map(({ label, bytes, messages }): Workload => {
    const source =
      bytes <= mostToCopy ? backlog(count(messages), payload(bytes)) : backlogFromPeer(thePeer, count(messages), bytes)
    const contenders = main(source)
    const name = `receive ${label} from a backlog`
    if (bytes !== 16) return { name, unit: "µs/message", contenders, close }
    return {
      name,
      unit: "µs/message",
      contenders: {
        ...contenders,
        "receive()": raw(source, receiveLoop),
        "for await, JSON": raw(source, forAwait(asJson)),
        "wrapper, stream of text": raw(source, run(wrapperStream)),
        "wrapper, handler": raw(source, run(wrapperHandler)),
        "wrapper, schema": raw(source, run(wrapperSchema)),
        "Zmq.recvString": ours(source, viaAccessor, true),
        "strings, Stream.runForEach": ours(source, stringsHandled),
        recvSchema: ours(source, recvSchema),
        "runForEach, 16 at a time": ours(source, runForEach(16)),
        ...pyzmq("backlog", count(2000)),
        ...theLimit("backlog", source.messages)
      }
    }
  })
  const threeFrames = backlog(count(8000), payload(16), 3)
  const fromAfar = (["tcp", "ipc"] as const).flatMap((transport) =>
    sizes
      .filter(({ bytes }) => (transport === "tcp" ? bytes !== 128 : bytes === 16 || (bytes === 65_536 && !quick)))
      .map(({ label, bytes, messages }): Workload => {
        const source = fromPeer(transport, thePeer, count(bytes <= 1024 ? 5 * messages : messages), bytes)
        const outside = bytes === 16 && transport === "tcp"
        return {
          name: `receive ${label} over ${transport}`,
          unit: "µs/message",
          contenders: {
            ...main(source),
            ...(outside
              ? {
                  "wrapper, stream of text": raw(source, run(wrapperStream)),
                  "wrapper, handler": raw(source, run(wrapperHandler)),
                  ...pyzmq("tcp", count(2000)),
                  ...theLimit("tcp", source.messages)
                }
              : {})
          },
          close
        }
      })
  )
  return [
    ...fromBacklog,
    {
      name: "receive 3 frames of 16 B from a backlog",
      unit: "µs/message",
      contenders: {
        "for await": raw(threeFrames, forAwait(size)),
        wrapper: raw(threeFrames, run(wrapper)),
        recv: ours(threeFrames, recv),
        messages: ours(threeFrames, messages),
        runForEach: ours(threeFrames, runForEach(1))
      }
    },
    ...fromAfar
  ]
}
