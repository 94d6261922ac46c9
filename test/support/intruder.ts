/** A peer that says whatever it likes: ZMTP 3.0 by hand, over tcp. */
import { connect } from "node:net"
import { Effect } from "effect"

export const frame = (
  body: Uint8Array,
  flags: { readonly more?: boolean; readonly command?: boolean } = {}
): Buffer => {
  const head = Buffer.alloc(9)
  head[0] = 2 | (flags.more ? 1 : 0) | (flags.command ? 4 : 0)
  head.writeBigUInt64BE(BigInt(body.length), 1)
  return Buffer.concat([head, body])
}

const greeting = Buffer.alloc(64)
greeting.set([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0])
greeting.write("NULL", 12)

const ready = (socketType: string): Buffer => {
  const name = Buffer.from("Socket-Type")
  const length = Buffer.alloc(4)
  length.writeUInt32BE(socketType.length)
  const command = Buffer.from("\x05READY")
  return frame(Buffer.concat([command, Buffer.from([name.length]), name, length, Buffer.from(socketType)]), {
    command: true
  })
}

/** Connects as a socket of a type, says what it has to say, and waits until it is cut off or `millis` have passed. */
export const intrudeFor =
  (millis: number) =>
  (endpoint: string, socketType: string, ...frames: ReadonlyArray<Buffer>) =>
    Effect.callback<"cut off" | "still there">((resume) => {
      const { hostname, port } = new URL(endpoint)
      const socket = connect(Number(port), hostname)
      const timer = setTimeout(() => resume(Effect.succeed("still there")), millis)
      socket.on("error", () => {})
      socket.on("close", () => resume(Effect.succeed("cut off")))
      // libzmq waits for the greeting, and then answers with its own READY.
      socket.write(greeting)
      let heard = 0
      let said = false
      socket.on("data", (data) => {
        heard += data.length
        if (heard < 64 || said) return
        said = true
        socket.write(Buffer.concat([ready(socketType), ...frames]))
      })
      return Effect.sync(() => {
        clearTimeout(timer)
        socket.destroy()
      })
    }).pipe(Effect.scoped)

/** For those who are not cut off, or need not be: what counts is that the other side lives. */
export const intrude = intrudeFor(300)
