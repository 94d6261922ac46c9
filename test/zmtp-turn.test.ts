/** What peers send is worked on in turns of the event loop: how much in one has a bound, however many they are. */
import { once } from "node:events"
import { type AddressInfo, createServer, type Socket } from "node:net"
import { expect, it } from "vitest"
import { blockSize, framesOfTurn } from "../src/internal/zmtp/protocol/connection.ts"
import { decoding, dial } from "../src/internal/zmtp/transport/reading.ts"
import { accepts, command, frame, greeting, longFrame, ready, Side, securities } from "./support/zmtpSides.ts"
import { nextTurn, wired } from "./support/zmtpWire.ts"

/** How many there are more in each turn, until there are as many as that. */
const turnsUntil = async (most: number, count: () => number): Promise<Array<number>> => {
  const turns = [count()]
  for (let before = count(); before < most; before = count()) {
    await nextTurn()
    turns.push(count() - before)
  }
  return turns
}

it("all connections share a turn, and each gets what it was sent, in order", async () => {
  const all = await wired(20, "PULL", "PUSH")
  const sent = Array.from({ length: framesOfTurn }, (_, i) => String(i))
  const bytes = Buffer.concat(sent.map((text) => frame(0, text)))
  for (const one of all) one.says(bytes)
  const count = (): number => all.reduce((sum, { received }) => sum + received.length, 0)
  const turns = await turnsUntil(20 * framesOfTurn, count)
  for (const messages of turns) expect(messages).toBeLessThanOrEqual(2 * framesOfTurn)
  for (const { received } of all) expect(received).toEqual(sent)
  await nextTurn()
  expect(all.filter(({ isStopped }) => isStopped)).toEqual([])
})

it("nothing more is read when a turn is over, and it goes on by itself", async () => {
  const [one, other] = await wired(2, "PULL", "PUSH")
  one!.says(Buffer.alloc(framesOfTurn * 2, frame(0, "")))
  expect(one!.isStopped).toBe(true)
  other!.says(frame(0, "hello"))
  expect(other!.isStopped).toBe(true)
  expect(other!.received).toEqual([])
  while (one!.isStopped || other!.isStopped) await nextTurn()
  expect(one!.received.length).toBe(framesOfTurn)
  expect(other!.received).toEqual(["hello"])
})

it("large frames count by their bytes", async () => {
  const [one] = await wired(1, "PULL", "PUSH")
  const chunk = Buffer.alloc(256 * 1024)
  let turns = 0
  let inTurn = 0
  one!.says(longFrame(0, BigInt(64 * chunk.length)))
  for (let i = 0; i < 64; i++) {
    while (one!.isStopped) {
      await nextTurn()
      turns++
      inTurn = 0
    }
    one!.says(chunk)
    inTurn += chunk.length
    expect(inTurn).toBeLessThanOrEqual(5 * 1024 * 1024)
  }
  await turnsUntil(1, () => one!.received.length)
  expect(one!.received).toEqual([String(64 * chunk.length)])
  expect(turns).toBeGreaterThanOrEqual(3)
})

it("a subscription counts for several messages", async () => {
  const [one] = await wired(1, "XPUB", "SUB")
  const topics = Array.from({ length: 3000 }, (_, i) => `topic ${i}`)
  one!.says(Buffer.concat(topics.map((topic) => command("SUBSCRIBE", topic))))
  const turns = await turnsUntil(topics.length, () => one!.received.length)
  for (const count of turns) expect(count).toBeLessThanOrEqual(framesOfTurn / 8)
  expect(one!.received).toEqual(topics.map((topic) => `+${topic}`))
})

it("a peer that has gone is told of at once, with all that it had said, whatever room there is for it", async () => {
  const [one] = await wired(1, "PULL", "PUSH")
  one!.room = 1
  one!.says(Buffer.concat([frame(0, "1"), frame(0, "2")]))
  one!.says(frame(0, "3"))
  expect(one!.received).toEqual(["1"])
  one!.emit("end")
  expect(one!.ended).toBe("it hung up")
  expect(one!.received).toEqual(["1", "2", "3"])
})

it("what is put together before it can be written is a block or so: the rest may go to others", async () => {
  const [one] = await wired(1, "PULL", "PUSH")
  await nextTurn()
  one!.reads = false
  let bytes = 0
  while (one!.wire.accepts && bytes < 2 ** 24) {
    one!.wire.send(Buffer.alloc(1000))
    bytes += 1000
    await nextTurn()
  }
  expect(bytes).toBeLessThan(2 * blockSize)
})

it("a frame that is sealed, and a command of a handshake, take more of a turn, and agreeing on keys takes most of it", () => {
  const [client, server] = (["PUSH", "PULL"] as const).map(
    (type, i) => new Side({ type, security: securities["CURVE, native"]![i]!, zap: accepts })
  ) as [Side, Side]
  const costs: Array<number> = []
  while (client.connection.pending > 0 || server.connection.pending > 0) {
    for (const [from, to] of [
      [client, server],
      [server, client]
    ] as const) {
      const bytes = from.said()
      if (bytes.length === 0) continue
      to.receive(bytes)
      costs.push(to.connection.spent)
      while (to.progress.at(-1) === "later") to.progress.push(to.connection.resume())
    }
  }
  // HELLO, WELCOME, INITIATE and READY.
  expect(costs.filter((cost) => cost > framesOfTurn / 2).length).toBe(4)
  for (let i = 0; i < 1000; i++) client.connection.send("hello")
  expect(server.receive(client.said())).toBe("later")
  expect(server.count).toBeLessThanOrEqual(512)
  while (server.connection.resume() === "later");
  expect(server.count).toBe(1000)
  const plain = new Side({ type: "PULL" })
  plain.receive(Buffer.concat([greeting(), ready("PUSH")]))
  expect(plain.connection.spent).toBeGreaterThanOrEqual(framesOfTurn / 64)
})

it("what is read when the turn is over is little, as it has to be kept", async () => {
  const server = createServer()
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve))
  const readable = dial({ host: "127.0.0.1", port: (server.address() as AddressInfo).port })
  const sizes: Array<number> = []
  const small = Buffer.alloc(1024)
  const large = Buffer.alloc(64 * 1024)
  readable.attach({
    // Where the next bytes go is asked for after each read.
    place: () => (sizes.length < 2 ? small : large),
    read: ({ length }) => {
      sizes.push(length)
      if (sizes.length === 2) decoding.spend(framesOfTurn)
    }
  })
  const [other] = (await once(server, "connection")) as [Socket]
  const total = (): number => sizes.reduce((sum, size) => sum + size, 0)
  other.write("x")
  while (total() < 1) await nextTurn()
  // It is all in the memory of the kernel before anything of it is read.
  other.write(Buffer.alloc(32 * 1024))
  while (total() < 1 + 32 * 1024) await nextTurn()
  expect(sizes.slice(0, 3)).toEqual([1, 1024, 4096])
  readable.socket.destroy()
  other.destroy()
  server.close()
})
