/**
 * The process at the other end when engines are compared: ZMTP by hand, over plain
 * TCP, so that it is the same for all, and faster than any of them.
 */
import { type ChildProcess, fork } from "node:child_process"
import { connect, type Socket } from "node:net"
import { fileURLToPath } from "node:url"

export type Task =
  /** As a PUSH: sends so many messages of so many bytes, when it is told to `go`. */
  | { readonly what: "pump"; readonly port: number; readonly messages: number; readonly bytes: number }
  | { readonly what: "go" }
  /** As a PULL: answers when it has received so many messages of so many bytes. */
  | { readonly what: "sink"; readonly port: number; readonly messages: number; readonly bytes: number }
  /** As a REP: says each request again. */
  | { readonly what: "echo"; readonly port: number }
  | { readonly what: "close" }

const greeting = Buffer.alloc(64)
greeting.set([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0])
greeting.write("NULL", 12)

const ready = (type: string): Buffer => {
  const name = Buffer.from("\x05READY\x0bSocket-Type\0\0\0")
  const body = Buffer.concat([name, Buffer.of(type.length), Buffer.from(type)])
  return Buffer.concat([Buffer.of(4, body.length), body])
}

const frame = (bytes: number): Buffer => {
  const body = Buffer.from(`"${"a".repeat(bytes - 2)}"`)
  if (bytes < 256) return Buffer.concat([Buffer.of(0, bytes), body])
  const head = Buffer.alloc(9)
  head[0] = 2
  head.writeBigUInt64BE(BigInt(bytes), 1)
  return Buffer.concat([head, body])
}

/** A connection, when its handshake is over. */
const shake = (port: number, type: string, onData: (bytes: Buffer, socket: Socket) => void): Promise<Socket> =>
  new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true })
    socket.on("error", () => {})
    socket.write(Buffer.concat([greeting, ready(type)]))
    let heard = Buffer.alloc(0)
    socket.on("data", function shaking(bytes: Buffer) {
      heard = Buffer.concat([heard, bytes])
      // The greeting, and READY in a short frame.
      if (heard.length < 66 || heard.length < 66 + heard[65]!) return
      socket.off("data", shaking)
      socket.on("data", (bytes: Buffer) => onData(bytes, socket))
      const rest = heard.subarray(66 + heard[65]!)
      if (rest.length > 0) onData(rest, socket)
      resolve(socket)
    })
  })

let socket: Socket | undefined
let go: (() => Promise<void>) | undefined

const work = async (task: Task): Promise<void> => {
  switch (task.what) {
    case "pump": {
      const one = frame(task.bytes)
      const many = Math.max(1, Math.floor((256 * 1024) / one.length))
      const block = Buffer.concat(Array.from({ length: many }, () => one))
      const pump = await shake(task.port, "PUSH", () => {})
      socket = pump
      go = async () => {
        for (let left = task.messages; left > 0; left -= many) {
          const bytes = left >= many ? block : block.subarray(0, left * one.length)
          if (!pump.write(bytes)) await new Promise((resolve) => pump.once("drain", resolve))
        }
      }
      return
    }
    case "go":
      await go!()
      return
    case "sink": {
      const expected = task.messages * frame(task.bytes).length
      let got = 0
      let done: () => void
      const all = new Promise<void>((resolve) => {
        done = resolve
      })
      socket = await shake(task.port, "PULL", (bytes) => {
        got += bytes.length
        if (got >= expected) done()
      })
      go = () => all
      return
    }
    case "echo":
      // The reply has the envelope of the request.
      socket = await shake(task.port, "REP", (bytes, echo) => echo.write(bytes))
      return
    case "close":
      socket?.destroy()
      return
  }
}

const file = fileURLToPath(import.meta.url)
if (process.argv[1] === file) {
  process.on("message", (task: Task) => void work(task).then(() => process.send!("")))
  process.on("disconnect", () => process.exit())
}

export class WirePeer {
  private child: ChildProcess | undefined

  do(task: Task): Promise<void> {
    this.child ??= fork(file, { execArgv: ["--import", "tsx"] })
    const { child } = this
    return new Promise((resolve) => {
      child.once("message", () => resolve())
      child.send(task)
    })
  }

  readonly close = (): void => {
    this.child?.kill()
    this.child = undefined
  }
}
