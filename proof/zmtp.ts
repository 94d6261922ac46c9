/**
 * A peer that speaks ZMTP by hand, and reads what it is sent up to the end of its
 * connection. libzmq does not: what the system holds for a socket that is at its
 * high-water mark is lost to it when its peer ends, over ipc always
 * (stream_engine_base.cpp:247).
 */
import { once } from "node:events"
import { createServer, type Socket } from "node:net"
import { greeting, ready } from "./attacks.ts"

const frame = (bytes: Buffer, more: boolean): Buffer =>
  Buffer.concat([Buffer.from([more ? 1 : 0, bytes.length]), bytes])

/** Of short frames. */
export const framed = (...frames: ReadonlyArray<string>): Buffer =>
  Buffer.concat(frames.map((text, at) => frame(Buffer.from(text, "latin1"), at < frames.length - 1)))

export interface Listening {
  readonly endpoint: string
  /** The messages of the one who connects, when they are asked for and not before. They end when the connection does. */
  readonly messages: AsyncIterable<ReadonlyArray<Buffer>>
  close(): void
}

/** Binds, over tcp or at the path of an ipc endpoint. The first who connects is told `says`. */
export const listen = async (type: string, says: Buffer, path?: string): Promise<Listening> => {
  const server = createServer({ highWaterMark: 16_384, pauseOnConnect: true })
  if (path === undefined) server.listen(0, "127.0.0.1")
  else server.listen(path)
  const connected = new Promise<Socket>((resolve) => server.once("connection", resolve))
  await once(server, "listening")
  const address = server.address()
  return {
    endpoint: typeof address === "string" ? `ipc://${address}` : `tcp://127.0.0.1:${address!.port}`,
    messages: messagesOf(connected, Buffer.concat([greeting(), ready(type)]), says),
    close: () => {
      server.close()
      connected.then((socket) => socket.destroy())
    }
  }
}

async function* messagesOf(
  connected: Promise<Socket>,
  handshake: Buffer,
  says: Buffer
): AsyncIterable<ReadonlyArray<Buffer>> {
  const socket = await connected
  socket.on("error", () => {})
  let wake = (): void => {}
  for (const event of ["readable", "end", "close"]) socket.on(event, () => wake())
  socket.write(handshake)
  let ended = false
  let bytes = Buffer.alloc(0)
  /** So many bytes, or undefined if the connection ends before. */
  const take = async (count: number): Promise<Buffer | undefined> => {
    while (bytes.length < count) {
      const piece = socket.read() as Buffer | null
      if (piece !== null) bytes = Buffer.concat([bytes, piece])
      else if (ended || socket.readableEnded || socket.destroyed) return undefined
      else {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    }
    const taken = bytes.subarray(0, count)
    bytes = bytes.subarray(count)
    return taken
  }
  socket.on("end", () => {
    ended = true
  })
  if ((await take(64)) === undefined) return
  let frames: Array<Buffer> = []
  while (true) {
    const flags = (await take(1))?.[0]
    if (flags === undefined) return
    const size = await take(flags & 2 ? 8 : 1)
    if (size === undefined) return
    const body = await take(flags & 2 ? Number(size.readBigUInt64BE()) : size[0]!)
    if (body === undefined) return
    if (flags & 4) {
      // READY. What is said before is part of the handshake to libzmq, and wrong.
      if (body.toString("latin1", 1, 6) === "READY") socket.write(says)
      continue
    }
    frames.push(body)
    if (flags & 1) continue
    yield frames
    frames = []
  }
}
