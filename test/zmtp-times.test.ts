/** What has to come in time: the handshake, and signs of life. By a clock that is moved by hand. */
import type { Socket } from "node:net"
import { Duplex } from "node:stream"
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { Settings } from "../src/internal/zmtp/settings.ts"
import { type NetworkHost, NetworkPipe } from "../src/internal/zmtp/transport/networkPipe.ts"
import type { Reader } from "../src/internal/zmtp/transport/reading.ts"
import { command, frame, greeting, nullSecurity, ready } from "./support/zmtpSides.ts"
import { nextTurn, WiredPeer, wired } from "./support/zmtpWire.ts"

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }))
afterEach(() => void vi.useRealTimers())

const pass = async (millis: number): Promise<void> => {
  vi.advanceTimersByTime(millis)
  await nextTurn()
}

const ping = Buffer.from("PING", "latin1")
const pings = ({ heard }: WiredPeer): number => heard.toString("latin1").split(ping.toString("latin1")).length - 1

/** Asks to be given up after so many tenths of a second. */
const mortal = (tenths: number): Buffer => command("PING", Buffer.of(0, tenths))

describe("the handshake", () => {
  it("has a time limit, whatever comes meanwhile", async () => {
    const one = new WiredPeer("PULL", { handshakeInterval: 1000 })
    const bytes = Buffer.concat([greeting(), ready("PUSH")])
    for (let at = 0; at < 9; at++) {
      one.says(bytes.subarray(at, at + 1))
      await pass(100)
    }
    expect(one.ended).toBeUndefined()
    await pass(100)
    expect(one.ended).toBe("the handshake took too long")
  })

  it("has none any more when it is over", async () => {
    const [one] = await wired(1, "PULL", "PUSH", { handshakeInterval: 1000 })
    await pass(100_000)
    expect(one!.ended).toBeUndefined()
  })
})

describe("heartbeats", () => {
  const times = { heartbeatInterval: 100, heartbeatTimeout: 1000 }

  it("are sent, and who answers none of them is given up", async () => {
    const [one] = await wired(1, "PULL", "PUSH", times)
    for (let i = 0; i < 10; i++) await pass(100)
    expect(pings(one!)).toBe(10)
    expect(one!.ended).toBeUndefined()
    await pass(100)
    expect(one!.ended).toBe("the peer did not answer a heartbeat in time")
  })

  it("are answered by whatever comes", async () => {
    const [one] = await wired(1, "PULL", "PUSH", times)
    for (let i = 0; i < 50; i++) {
      await pass(900)
      one!.says(i % 2 === 0 ? frame(0, "hello") : command("PONG"))
    }
    expect(one!.ended).toBeUndefined()
  })

  it("give nobody up to whom we do not listen, until we do again", async () => {
    const [one] = await wired(1, "PULL", "PUSH", times)
    one!.room = 1
    one!.says(frame(0, "hello"))
    expect(one!.isStopped).toBe(true)
    await pass(10_000)
    await pass(10_000)
    expect(one!.ended).toBeUndefined()
    one!.room = 10
    one!.wire.refill()
    expect(one!.isStopped).toBe(false)
    await pass(10_000)
    await pass(10_000)
    expect(one!.ended).toBe("the peer did not answer a heartbeat in time")
  })

  it("are not sent if they are not wanted", async () => {
    const [one] = await wired(1, "PULL", "PUSH")
    await pass(1_000_000)
    expect(pings(one!)).toBe(0)
    expect(one!.ended).toBeUndefined()
  })
})

describe("a peer that wants to be given up if it is silent", () => {
  it("is", async () => {
    const [one] = await wired(1, "PULL", "PUSH")
    one!.says(mortal(5))
    await pass(499)
    expect(one!.ended).toBeUndefined()
    await pass(1)
    expect(one!.ended).toBe("the peer was silent for longer than it wanted to be")
  })

  it("but not as long as anything comes, nor if it thinks better of it", async () => {
    const [one] = await wired(1, "PULL", "PUSH")
    one!.says(mortal(5))
    for (let i = 0; i < 10; i++) {
      await pass(400)
      one!.says(frame(0, "hello"))
    }
    one!.says(mortal(0))
    await pass(100_000)
    expect(one!.ended).toBeUndefined()
  })

  it("nor while we do not listen to it", async () => {
    const [one] = await wired(1, "PULL", "PUSH")
    one!.room = 1
    one!.says(Buffer.concat([mortal(5), frame(0, "hello")]))
    expect(one!.isStopped).toBe(true)
    await pass(5000)
    expect(one!.ended).toBeUndefined()
    one!.room = 10
    one!.wire.refill()
    await pass(5000)
    expect(one!.ended).toBe("the peer was silent for longer than it wanted to be")
  })
})

it("a peer that does not end a connection that we have ended is cut off", async () => {
  const [one] = await wired(1, "PULL", "PUSH")
  await nextTurn()
  one!.wire.close()
  expect(one!.ended).toBe("it hung up")
  await pass(999)
  expect(one!.destroyed).toBe(false)
  await pass(1)
  expect(one!.destroyed).toBe(true)
})

/** What Wire and a pipe take for a socket of node:net, of which nothing is read. */
class Unread extends Duplex {
  readonly setNoDelay = (): void => {}

  constructor() {
    super({ read: () => {}, write: () => {} })
  }
}

it("a peer that we refuse, and that reads nothing of what there is for it, is cut off", async () => {
  const socket = new Unread()
  let reader: Reader | undefined
  const host: NetworkHost = {
    settings: new Settings("router", false, -1),
    introduction: { type: "ROUTER", routingId: Buffer.alloc(0), address: undefined, userId: undefined },
    connectionOptions: { local: { socketType: "ROUTER" }, security: nullSecurity },
    attached: () => true,
    detached: () => {},
    arrived: () => true,
    subscribed: () => true,
    hasRoom: () => {},
    tell: () => {},
    ask: () => {}
  }
  const pipe = new NetworkPipe(host, "tcp://127.0.0.1:1", false, () => {})
  pipe.establish({
    socket: socket as unknown as Socket,
    attach: (given) => {
      reader = given
    }
  })
  reader!.read(Buffer.concat([greeting(), ready("DEALER")]))
  pipe.send("for nobody")
  pipe.refuse("another has its name")
  await nextTurn()
  await pass(999)
  expect(socket.destroyed).toBe(false)
  await pass(1)
  expect(socket.destroyed).toBe(true)
})

it("nothing of a connection that is over keeps the process", async () => {
  vi.useRealTimers()
  const waiting = (): number => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length
  const [one] = await wired(1, "PULL", "PUSH")
  await nextTurn()
  const before = waiting()
  one!.wire.close()
  expect(one!.ended).toBe("it hung up")
  expect(waiting()).toBe(before)
})
