/**
 * The process at the other end of tcp and ipc: plain zeromq.js, the same for
 * all contenders.
 */
import { type ChildProcess, fork } from "node:child_process"
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { Effect } from "effect"
import * as zmq from "zeromq"

/** Connects, says hello with one message, and answers. */
interface Connect {
  readonly what: "connect"
  readonly endpoint: string
  /** Keys of CURVE, if it is secured. */
  readonly curve?: { readonly curvePublicKey: string; readonly curveSecretKey: string; readonly curveServerKey: string }
}
/** Sends so many messages over that connection, and answers when libzmq has them all. */
interface Send {
  readonly what: "send"
  readonly messages: number
  readonly bytes: number
}
/** Closes that connection, and answers when all is on its way. */
interface Close {
  readonly what: "close"
}
/** A message, which holds the time it was sent at, each so many milliseconds; with 0, each turn of the event loop. */
interface Tick {
  readonly what: "tick"
  readonly endpoint: string
  readonly messages: number
  readonly millis: number
}
/** Answers each request with itself, on REP or ROUTER, until the process ends. */
interface Echo {
  readonly what: "echo"
  readonly type: "rep" | "router"
}
/** Sends to each endpoint as much as there is room for, until the process ends. */
interface Flood {
  readonly what: "flood"
  readonly endpoints: ReadonlyArray<string>
  readonly bytes: number
}
export type Task = Connect | Send | Close | Tick | Echo | Flood

/** A text of so many bytes that is JSON as well, so that every receive can read it. */
export const payload = (bytes: number): Buffer => Buffer.from(`"${"a".repeat(bytes - 2)}"`)

const work = async (task: Task): Promise<string> => {
  switch (task.what) {
    case "connect": {
      const socket = new zmq.Push({ sendHighWaterMark: 0, sendTimeout: 0, ...task.curve })
      connected = { socket, ended: untilEnd(socket.events) }
      socket.connect(task.endpoint)
      await socket.send("hello")
      return ""
    }
    case "send": {
      const frame = payload(task.bytes)
      let last: Promise<void> | undefined
      for (let sent = 0; sent < task.messages; sent++) last = connected!.socket.send(frame)
      await last
      return ""
    }
    case "close": {
      connected!.socket.close()
      await connected!.ended
      return ""
    }
    case "tick": {
      let socket = ticking.get(task.endpoint)
      if (socket === undefined) {
        socket = new zmq.Push({ linger: 0 })
        socket.connect(task.endpoint)
        ticking.set(task.endpoint, socket)
      }
      for (let sent = 0; sent < task.messages; sent++) {
        await (task.millis === 0 ? nextTurn() : sleep(task.millis))
        const stamp = Buffer.alloc(16)
        stamp.writeBigUInt64LE(process.hrtime.bigint())
        await socket.send(stamp)
      }
      return ""
    }
    case "flood": {
      const frame = payload(task.bytes)
      const flood = async (endpoint: string) => {
        const socket = new zmq.Push({ linger: 0 })
        socket.connect(endpoint)
        while (true) await socket.send(frame)
      }
      for (const endpoint of task.endpoints) flood(endpoint).catch(() => process.exit(1))
      return ""
    }
    case "echo": {
      const socket = task.type === "rep" ? new zmq.Reply() : new zmq.Router()
      await socket.bind("tcp://127.0.0.1:*")
      const run = async () => {
        for await (const message of socket) await socket.send(message)
      }
      run().catch(() => process.exit(1))
      return socket.lastEndpoint!
    }
  }
}

const ticking = new Map<string, zmq.Push>()
let connected: { readonly socket: zmq.Push; readonly ended: Promise<void> } | undefined

/** Resolves when libzmq is done with the socket: it closes one when it has sent everything. */
const untilEnd = async (events: zmq.Observer): Promise<void> => {
  for await (const event of events) if (event.type === "end") return
}

const self = fileURLToPath(import.meta.url)

if (process.argv[1] === self && process.send !== undefined) {
  process.on("message", (task: Task) => {
    work(task).then(
      (answer) => process.send!(answer),
      (error) => {
        console.error(error)
        process.exit(1)
      }
    )
  })
  process.on("disconnect", () => process.exit(0))
}

/** A process of ours that does one task after the other. */
export class Peer {
  private readonly child: ChildProcess = fork(self)
  private ended: Error | undefined

  constructor() {
    this.child.on("exit", () => {
      this.ended = new Error("the peer process ended")
      this.child.emit("message", this.ended)
    })
  }

  /** Gives it a task. Resolves with the endpoint, or when the task is done. */
  do(task: Task): Promise<string> {
    if (this.ended) return Promise.reject(this.ended)
    this.child.send(task)
    return new Promise((resolve, reject) => {
      this.child.once("message", (answer) => (answer instanceof Error ? reject(answer) : resolve(`${answer}`)))
    })
  }

  static readonly make = Effect.acquireRelease(
    Effect.sync(() => new Peer()),
    (peer) => Effect.promise(() => peer.close())
  )

  async close(): Promise<void> {
    this.child.removeAllListeners("exit")
    this.child.kill()
    await nextTurn()
  }
}
