/** Malformed bytes, half handshakes and half messages, and the raw TCP client that says them. */
import { connect, type Socket } from "node:net"
import type { Random } from "./moments.ts"

export const greeting = (version = 3, mechanism = "NULL"): Buffer => {
  const bytes = Buffer.alloc(64)
  bytes[0] = 0xff
  bytes[9] = 0x7f
  bytes[10] = version
  bytes.write(mechanism, 12, "latin1")
  return bytes
}

export const ready = (type: string): Buffer => {
  const body = Buffer.concat([
    Buffer.from("\x05READY\x0bSocket-Type", "latin1"),
    Buffer.from([0, 0, 0, type.length]),
    Buffer.from(type)
  ])
  return Buffer.concat([Buffer.from([4, body.length]), body])
}

const frame = (text: string, more: boolean): Buffer =>
  Buffer.concat([Buffer.from([more ? 1 : 0, text.length]), Buffer.from(text)])

const noise = (random: Random, length: number): Buffer => Buffer.from(Array.from({ length }, () => random(256)))

/** What the raw client says before it goes. */
export const attacks: ReadonlyArray<(random: Random) => Buffer> = [
  () => Buffer.alloc(0),
  (random) => noise(random, 1 + random(200)),
  (random) => greeting().subarray(0, 1 + random(63)),
  (random) => Buffer.concat([greeting(), noise(random, 1 + random(100))]),
  (random) => greeting(random(256)),
  () => greeting(3, "PLAIN"),
  () => greeting(3, "CURVE"),
  (random) => Buffer.concat([greeting(), ready("PUSH").subarray(0, 1 + random(20))]),
  () => Buffer.concat([greeting(), ready("PULL")]),
  () => Buffer.concat([greeting(), ready("NONSENSE")]),
  // A length of 2^63 - 1, and one that is negative.
  () => Buffer.concat([greeting(), ready("PUSH"), Buffer.from([2, 0x7f, ...Array<number>(7).fill(0xff)])]),
  () => Buffer.concat([greeting(), ready("PUSH"), Buffer.from([2, ...Array<number>(8).fill(0xff)])]),
  (random) => Buffer.concat([greeting(), ready("PUSH"), Buffer.from([random(256), random(256)]), noise(random, 50)]),
  // The first frames of a message that never ends.
  () => Buffer.concat([greeting(), ready("PUSH"), frame("half", true)]),
  () => Buffer.concat([greeting(), ready("PUSH"), frame("half", true), frame("half", false).subarray(0, 4)]),
  () => Buffer.concat([greeting(), ready("DEALER"), frame("half", true)])
]

/** Connects, says something of the kind, and goes. */
export const attack = (port: number, random: Random): Promise<void> =>
  new Promise((resolve) => {
    const bytes = attacks[random(attacks.length)]!(random)
    const end = random(3)
    const socket: Socket = connect({ host: "127.0.0.1", port })
    const go = () => {
      if (end === 0) socket.resetAndDestroy()
      else if (end === 1) socket.destroy()
      else socket.end()
    }
    socket.on("error", () => {})
    socket.on("close", () => resolve())
    socket.on("connect", () => {
      socket.resume()
      if (random(3) > 0) socket.write(bytes, go)
      else {
        const at = random(bytes.length + 1)
        socket.write(bytes.subarray(0, at), () => setImmediate(() => socket.write(bytes.subarray(at), go)))
      }
      setTimeout(() => socket.destroy(), 50)
    })
  })
