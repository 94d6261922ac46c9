/** What peers send is worked on in turns of the event loop: how much in one has a bound, however many they are. */
import type { Socket } from "node:net"
import { Duplex } from "node:stream"
import { expect, it } from "vitest"
import { framesOfTurn } from "../src/internal/zmtp/protocol/connection.ts"
import { Settings } from "../src/internal/zmtp/settings.ts"
import type { Reader } from "../src/internal/zmtp/transport/reading.ts"
import { Wire } from "../src/internal/zmtp/transport/wire.ts"
import { command, frame, greeting, longFrame, nullSecurity, ready } from "./support/zmtpSides.ts"

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** A connection without a network: what its peer says is read when the test wants it. */
class Connection extends Duplex {
  readonly received: Array<string> = []
  readonly setNoDelay = (): void => {}
  reader: Reader | undefined
  isPaused_ = false

  constructor(type: "PULL" | "XPUB") {
    super({ read: () => {}, write: (_bytes, _encoding, done) => done() })
    const readable = {
      socket: this as unknown as Socket,
      attach: (reader: Reader) => {
        this.reader = reader
      }
    }
    const add = (text: string): true => {
      this.received.push(text)
      return true
    }
    const options = { local: { socketType: type }, security: nullSecurity }
    new Wire(readable, options, new Settings("pull", false, -1), {
      ready: () => {},
      message: ([body]) => add(String(body!.length > 100 ? body!.length : body)),
      subscribed: (topic, begins) => add(`${begins ? "+" : "-"}${topic}`),
      zap: () => {},
      written: () => {},
      ended: () => {}
    })
  }

  override pause(): this {
    this.isPaused_ = true
    return super.pause()
  }

  override resume(): this {
    this.isPaused_ = false
    return super.resume()
  }
}

const connections = async (count: number, type: "PULL" | "XPUB", peer: string): Promise<Array<Connection>> => {
  const all = Array.from({ length: count }, () => new Connection(type))
  for (const { reader } of all) reader!.read(Buffer.concat([greeting(), ready(peer)]))
  while (all.some(({ isPaused_ }) => isPaused_)) await nextTurn()
  return all
}

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
  const all = await connections(20, "PULL", "PUSH")
  const sent = Array.from({ length: framesOfTurn }, (_, i) => String(i))
  const bytes = Buffer.concat(sent.map((text) => frame(0, text)))
  for (const { reader } of all) reader!.read(Buffer.from(bytes))
  const count = (): number => all.reduce((sum, { received }) => sum + received.length, 0)
  const turns = await turnsUntil(20 * framesOfTurn, count)
  for (const messages of turns) expect(messages).toBeLessThanOrEqual(2 * framesOfTurn)
  for (const { received } of all) expect(received).toEqual(sent)
  await nextTurn()
  expect(all.filter(({ isPaused_ }) => isPaused_)).toEqual([])
})

it("nothing more is read when a turn is over, and it goes on by itself", async () => {
  const [one, other] = await connections(2, "PULL", "PUSH")
  one!.reader!.read(Buffer.alloc(framesOfTurn * 2, frame(0, "")))
  expect(one!.isPaused_).toBe(true)
  other!.reader!.read(frame(0, "hello"))
  expect(other!.isPaused_).toBe(true)
  expect(other!.received).toEqual([])
  while (one!.isPaused_ || other!.isPaused_) await nextTurn()
  expect(one!.received.length).toBe(framesOfTurn)
  expect(other!.received).toEqual(["hello"])
})

it("large frames count by their bytes", async () => {
  const [one] = await connections(1, "PULL", "PUSH")
  const chunk = Buffer.alloc(256 * 1024)
  let turns = 0
  let inTurn = 0
  one!.reader!.read(longFrame(0, BigInt(64 * chunk.length)))
  for (let i = 0; i < 64; i++) {
    while (one!.isPaused_) {
      await nextTurn()
      turns++
      inTurn = 0
    }
    one!.reader!.read(chunk)
    inTurn += chunk.length
    expect(inTurn).toBeLessThanOrEqual(5 * 1024 * 1024)
  }
  await turnsUntil(1, () => one!.received.length)
  expect(one!.received).toEqual([String(64 * chunk.length)])
  expect(turns).toBeGreaterThanOrEqual(3)
})

it("a subscription counts for several messages", async () => {
  const [one] = await connections(1, "XPUB", "SUB")
  const topics = Array.from({ length: 3000 }, (_, i) => `topic ${i}`)
  one!.reader!.read(Buffer.concat(topics.map((topic) => command("SUBSCRIBE", topic))))
  const turns = await turnsUntil(topics.length, () => one!.received.length)
  for (const count of turns) expect(count).toBeLessThanOrEqual(framesOfTurn / 8)
  expect(one!.received).toEqual(topics.map((topic) => `+${topic}`))
})
