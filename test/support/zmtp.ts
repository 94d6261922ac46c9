/** Peers that speak ZMTP 3.1 (RFC 37) by hand, as well or as badly as they are told to. */
import { createServer, connect as open, type Socket } from "node:net"
import type { Scope } from "effect"
import { Effect } from "effect"

export type Mechanism = "NULL" | "PLAIN" | "CURVE"

/** What a peer says first: its version, and the mechanism that it wants. */
export const greeting = (mechanism: string, version: readonly [number, number] = [3, 1]): Buffer => {
  const bytes = Buffer.alloc(64)
  bytes[0] = 0xff
  bytes[9] = 0x7f
  bytes.set(version, 10)
  bytes.write(mechanism, 12, 20, "latin1")
  return bytes
}

const frame = (flags: number, body: Buffer): Buffer => {
  if (body.length < 256) return Buffer.concat([Buffer.from([flags, body.length]), body])
  const head = Buffer.alloc(9)
  head[0] = flags | 2
  head.writeBigUInt64BE(BigInt(body.length), 1)
  return Buffer.concat([head, body])
}

const short = (text: string): Buffer => Buffer.concat([Buffer.from([Buffer.byteLength(text)]), Buffer.from(text)])

export const command = (name: string, body: Buffer = Buffer.alloc(0)): Buffer =>
  frame(4, Buffer.concat([short(name), body]))

const property = (name: string, value: string): Buffer => {
  const size = Buffer.alloc(4)
  size.writeUInt32BE(Buffer.byteLength(value))
  return Buffer.concat([short(name), size, Buffer.from(value)])
}

const pushes = property("Socket-Type", "PUSH")

export const ready = command("READY", pushes)
export const hello = (username: string, password: string): Buffer =>
  command("HELLO", Buffer.concat([short(username), short(password)]))
export const initiate = command("INITIATE", pushes)
export const message = (text: string): Buffer => frame(0, Buffer.from(text))

/** What a peer says, each part when the one before has been answered. */
export const patiently = {
  NULL: [greeting("NULL"), ready, message("intruder")],
  PLAIN: (username: string, password: string) => [
    greeting("PLAIN"),
    hello(username, password),
    initiate,
    message("intruder")
  ]
}

/**
 * Says its parts, each when the one before has been answered, and whatever the
 * answer is. Gives the names of the commands it was answered with, an ERROR with
 * its status, when the server has ended the connection, or when it has nothing
 * left to say.
 */
export const knock = (
  endpoint: string,
  parts: ReadonlyArray<Buffer>,
  from?: string
): Effect.Effect<ReadonlyArray<string>, Error> =>
  Effect.callback((resume) => {
    const { hostname, port } = new URL(endpoint.replace(/^tcp:/, "http:"))
    const host = hostname.replace(/^\[|\]$/g, "")
    const socket = open({
      host,
      port: Number(port),
      ...(from === undefined ? {} : { localAddress: from }),
      noDelay: true
    })
    const left = [...parts]
    const answers: Array<string> = []
    let bytes = Buffer.alloc(0)
    let greeted = false
    const say = () => {
      const part = left.shift()
      if (part !== undefined) socket.write(part)
      if (left.length === 0 && greeted) socket.end()
    }
    socket.on("connect", say)
    socket.on("data", (more) => {
      bytes = Buffer.concat([bytes, more])
      if (!greeted) {
        if (bytes.length < 64) return
        greeted = true
        bytes = bytes.subarray(64)
        say()
      }
      for (let next = unframe(bytes); next !== undefined; next = unframe(bytes)) {
        bytes = bytes.subarray(next.end)
        answers.push(next.name)
        say()
      }
    })
    // What was sent may be refused before it was read.
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(answers)))
    return Effect.sync(() => socket.destroy())
  })

const unframe = (bytes: Buffer): { readonly name: string; readonly end: number } | undefined => {
  const long = (bytes[0] ?? 0) & 2
  const start = long ? 9 : 2
  if (bytes.length < start) return undefined
  const end = start + (long ? Number(bytes.readBigUInt64BE(1)) : bytes[1]!)
  if (bytes.length < end) return undefined
  const body = bytes.subarray(start, end).toString("latin1")
  // Not the name alone: of PLAIN, libzmq writes "^RROR" ("\x05ERROR" in C, where E is a hexadecimal digit).
  const [, status] = /RROR.(\d{3})$/s.exec(body) ?? []
  return { name: status === undefined ? body.slice(1, 1 + body.charCodeAt(0)) : `ERROR ${status}`, end }
}

/** What a peer has said, as parts to say again. */
export const partsOf = (said: ReadonlyArray<Buffer>): ReadonlyArray<Buffer> => {
  const all = Buffer.concat(said)
  const parts = [all.subarray(0, 64)]
  for (let rest = all.subarray(64); ; ) {
    const next = unframe(rest)
    if (next === undefined) return parts
    parts.push(rest.subarray(0, next.end))
    rest = rest.subarray(next.end)
  }
}

/** Passes connections on to an endpoint, and keeps what the clients have said. */
export const recorder = (
  endpoint: string
): Effect.Effect<{ readonly endpoint: string; readonly said: ReadonlyArray<Buffer> }, never, Scope.Scope> =>
  Effect.gen(function* () {
    const said: Array<Buffer> = []
    const sockets = new Set<Socket>()
    const server = createServer((client) => {
      const behind = open(Number(new URL(endpoint.replace(/^tcp:/, "http:")).port), "127.0.0.1")
      for (const [a, b] of [
        [client, behind],
        [behind, client]
      ] as const) {
        sockets.add(a)
        a.on("error", () => {})
        a.on("close", () => b.destroy())
        a.pipe(b)
      }
      client.on("data", (bytes: Buffer) => said.push(bytes))
    })
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
      () =>
        Effect.callback<void>((resume) => {
          for (const socket of sockets) socket.destroy()
          server.close(() => resume(Effect.void))
        })
    )
    const address = server.address() as { readonly port: number }
    return { endpoint: `tcp://127.0.0.1:${address.port}`, said }
  })
