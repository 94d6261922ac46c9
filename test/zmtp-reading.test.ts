/** How bytes are read: none before somebody reads, all of them in order, into memory that is used again. */
import { once } from "node:events"
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { accepted, dial } from "../src/internal/zmtp/transport/reading.ts"
import { nextTurn } from "./support/zmtpWire.ts"

let server: Server
const open: Array<Socket> = []
beforeEach(async () => {
  server = createServer({ pauseOnConnect: true })
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve))
})
afterEach(() => {
  // It does not know that those that moved to another socket have ended, and is never done.
  server.close()
  for (const socket of open.splice(0)) socket.destroy()
})

/** Keeps what it reads, and in which memory it was. */
class Reading {
  bytes = Buffer.alloc(0)
  readonly memory = new Set<ArrayBufferLike>()
  private readonly into: Buffer | undefined

  constructor(into?: Buffer) {
    this.into = into
  }
  place(): Buffer | undefined {
    return this.into
  }
  read(bytes: Buffer): void {
    this.bytes = Buffer.concat([this.bytes, bytes])
    this.memory.add(bytes.buffer)
  }
  async until(count: number): Promise<void> {
    while (this.bytes.length < count) await nextTurn()
  }
}

type Side = "dialled" | "accepted" | "accepted, where its memory cannot be ours"

/** A connection, from the side that reads and from the other. */
const pair = async (
  side: Side,
  reading: Reading,
  before = async (_: Socket): Promise<void> => {}
): Promise<{ readonly socket: Socket; readonly other: Socket }> => {
  const { port } = server.address() as AddressInfo
  const coming = once(server, "connection") as Promise<[Socket]>
  if (side === "dialled") {
    const readable = dial({ host: "127.0.0.1", port })
    const { socket } = readable
    socket.once("connect", () => readable.attach(reading))
    const [other] = await coming
    open.push(socket, other)
    return { socket, other }
  }
  const other = connect(port, "127.0.0.1")
  const [far] = await coming
  if (side !== "accepted") Object.assign((far as unknown as { _handle: object })._handle, { useUserBuffer: undefined })
  const readable = accepted(far)
  open.push(readable.socket, other)
  await before(other)
  readable.attach(reading)
  return { socket: readable.socket, other }
}

const said = Buffer.from(Array.from({ length: 600_000 }, (_, i) => (i * 7) & 0xff))

describe.each(["dialled", "accepted", "accepted, where its memory cannot be ours"] as const)("%s", (side) => {
  it("reads all that comes, in order", async () => {
    const reading = new Reading()
    const { other } = await pair(side, reading)
    other.write(said)
    await reading.until(said.length)
    expect(reading.bytes.equals(said)).toBe(true)
  })

  it("reads no more while it is paused", async () => {
    const reading = new Reading()
    const { other, socket } = await pair(side, reading)
    other.write("1")
    await reading.until(1)
    socket.pause()
    other.write("2")
    for (let i = 0; i < 20; i++) await nextTurn()
    // One read may have been under way.
    socket.resume()
    await reading.until(2)
    expect(String(reading.bytes)).toBe("12")
  })

  it("ends when the other does", async () => {
    const reading = new Reading()
    const { other, socket } = await pair(side, reading)
    const ended = once(socket, "end")
    other.end("bye")
    await ended
    expect(String(reading.bytes)).toBe("bye")
  })
})

it.each(["accepted", "accepted, where its memory cannot be ours"] as const)(
  "%s: reads what came before somebody read",
  async (side) => {
    const reading = new Reading()
    const { other } = await pair(side, reading, async (socket) => {
      socket.write("1")
      for (let i = 0; i < 20; i++) await nextTurn()
    })
    other.write("2")
    await reading.until(2)
    expect(String(reading.bytes)).toBe("12")
  }
)

it.each(["dialled", "accepted"] as const)(
  "%s: reads into the same memory as all others, but where the reader has a place",
  async (side) => {
    const place = Buffer.alloc(1000)
    const readings = [new Reading(), new Reading(), new Reading(place)]
    for (const reading of readings) {
      const { other } = await pair(side, reading)
      for (const text of ["1", "2", "3"]) {
        other.write(text)
        await reading.until(Number(text))
      }
    }
    const [one, two, three] = readings.map(({ memory }) => [...memory])
    expect(one!.length).toBe(1)
    expect(two).toEqual(one)
    expect(three!.at(-1)).toBe(place.buffer)
  }
)
