/** Receiving: every way to do it, from a backlog and from another process. */
import { setTimeout as sleep } from "node:timers/promises"
import { Effect } from "effect"
import { Zmq } from "effect-zmq"
import * as zmq from "zeromq"
import { address, count, expectCount, perMessage, quick, type Sample, type Workload } from "./harness.ts"
import { pyzmq, theLimit } from "./outside.ts"
import { Peer, payload } from "./peer.ts"
import type { ours, Program, Raw, theirs } from "./programs.ts"

// -----------------------------------------------------------------------------
// where the messages come from
// -----------------------------------------------------------------------------

/** Gives a socket that is bound to `endpoint` so many messages, of which each has so many bytes. */
interface Source {
  readonly transport: "inproc" | "tcp" | "ipc"
  /** Connects and sends. From a peer, a first message is not one of those to be counted. */
  readonly open: (endpoint: string) => Promise<unknown>
  readonly close: () => unknown
  readonly hello: boolean
  readonly messages: number
  readonly bytes: number
  /** Of the receiver. The sender has none. */
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
    close: () => socket?.close()
  }
}

// Beyond so many bytes zeromq.js lends a buffer to libzmq. V8 would walk through
// all that a backlog of this process has lent, and collect it, while the clock runs.
const mostToCopy = 128

/** Another process that has more than the receiver takes, from start to end, and does nothing else. */
const fromPeer = (transport: "tcp" | "ipc", peer: () => Peer, messages: number, bytes: number): Source => ({
  transport,
  messages,
  bytes,
  highWaterMark: bytes <= 1024 ? 1000 : 100,
  hello: true,
  open: async (endpoint) => {
    await peer().do({ what: "connect", endpoint })
    await peer().do({ what: "send", messages, bytes })
  },
  close: () => peer().do({ what: "close" })
})

/** The same, with all of it with libzmq before the clock starts. */
const backlogFromPeer = (peer: () => Peer, messages: number, bytes: number): Source => {
  const source = fromPeer("tcp", peer, messages, bytes)
  return {
    ...source,
    highWaterMark: 0,
    open: async (endpoint) => {
      await source.open(endpoint)
      await source.close()
      // What is still in the kernel.
      await sleep(50)
    },
    close: () => {}
  }
}

/** A source for a program that holds a million objects: V8 marks them all when it collects everything. */
const inLargeProgram = (source: Source): Source & { readonly end: () => void } => {
  let objects: Array<unknown> = []
  return {
    ...source,
    open: (endpoint) => {
      if (objects.length === 0) {
        objects = Array.from({ length: 1_000_000 }, (_, number) => ({
          number,
          text: `number ${number}`,
          list: [number]
        }))
      }
      return source.open(endpoint)
    },
    end: () => {
      objects = []
    }
  }
}

const byThem = async (source: Source, receive: Raw): Promise<Sample> => {
  const socket = new zmq.Pull({ receiveHighWaterMark: source.highWaterMark, linger: 0 })
  socket.bindSync(address(source.transport))
  await source.open(socket.lastEndpoint!)
  if (source.hello) await socket.receive()
  let bytes = 0
  const sample = await perMessage(source.messages, async () => {
    bytes = await receive(socket, source.messages)
  })
  await source.close()
  socket.close()
  expectCount("zeromq.js", bytes / source.bytes, source.messages)
  return sample
}

const byUs = (source: Source, receive: Program<Zmq.Pull>): Promise<Sample> =>
  Effect.gen(function* () {
    const options = { bind: address(source.transport), receiveHighWaterMark: source.highWaterMark, linger: 0 }
    const socket = yield* Zmq.pull(options)
    yield* Effect.promise(() => source.open(socket.endpoints[0]!))
    if (source.hello) yield* socket.recv
    const program = receive(socket, source.messages)
    let bytes = 0
    const sample = yield* Effect.promise(() =>
      perMessage(source.messages, async () => {
        bytes = await Effect.runPromise(program)
      })
    )
    yield* Effect.promise(async () => source.close())
    expectCount("effect-zmq", bytes / source.bytes, source.messages)
    return sample
  }).pipe(Effect.scoped, Effect.runPromise)

type Theirs = keyof typeof theirs
type Ours = keyof typeof ours

const contenders = (source: Source, ...names: ReadonlyArray<Theirs | Ours>): Workload["contenders"] =>
  Object.fromEntries(
    names.map((name) => [
      name,
      async () => {
        const { theirs, ours }: typeof import("./programs.ts") = await import(`./programs.ts?${name}`)
        return name in ours ? byUs(source, ours[name as Ours]) : byThem(source, theirs[name as Theirs])
      }
    ])
  )

const main = [
  "for await",
  "for await, text",
  "wrapper",
  "wrapper, text",
  "recv",
  "recvString",
  "strings",
  "messages",
  "runForEach"
] as const
const wrappers = ["wrapper, stream of text", "wrapper, handler"] as const

const sizes = [
  { label: "16 B", bytes: 16, messages: 10_000 },
  { label: "128 B", bytes: 128, messages: 10_000 },
  { label: "1 KiB", bytes: 1024, messages: 20_000 },
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
  const large = inLargeProgram(fromPeer("tcp", thePeer, count(2000), 65_536))
  const fromBacklog = sizes.map(({ label, bytes, messages }): Workload => {
    const source =
      bytes <= mostToCopy ? backlog(count(messages), payload(bytes)) : backlogFromPeer(thePeer, count(messages), bytes)
    const name = `receive ${label} from a backlog`
    if (bytes !== 16) return { name, unit: "µs/message", contenders: contenders(source, ...main), close }
    const more = [
      "receive()",
      "for await, JSON",
      ...wrappers,
      "wrapper, schema",
      "Zmq.recvString",
      "strings, Stream.runForEach",
      "recvSchema",
      "runForEach, 16 at a time"
    ] as const
    return {
      name,
      unit: "µs/message",
      contenders: {
        ...contenders(source, ...main, ...more),
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
        const source = fromPeer(transport, thePeer, count(bytes === 16 ? 5 * messages : messages), bytes)
        const outside = bytes === 16 && transport === "tcp"
        return {
          name: `receive ${label} over ${transport}`,
          unit: "µs/message",
          contenders: {
            ...contenders(source, ...main, ...(outside ? wrappers : [])),
            ...(outside ? { ...pyzmq("tcp", count(2000)), ...theLimit("tcp", source.messages) } : {})
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
      contenders: contenders(threeFrames, "for await", "wrapper", "recv", "messages", "runForEach")
    },
    ...fromAfar,
    {
      name: "receive 64 KiB over tcp in a program of a million objects",
      unit: "µs/message",
      contenders: contenders(large, ...main),
      close: () => {
        large.end()
        return close()
      }
    }
  ]
}
