/** How connections are made again, and how they are given up: by a clock that is moved by hand, over no network. */
import { Socket } from "node:net"
import { Duration } from "effect"
import { Zmq } from "effect-zmq"
import { afterEach, beforeEach, expect, it, vi } from "vitest"
import type { Failure } from "../src/internal/zmtp/protocol/connection.ts"
import { Settings } from "../src/internal/zmtp/settings.ts"
import { Connecter } from "../src/internal/zmtp/transport/connecter.ts"
import { nextTurn } from "./support/zmtpWire.ts"

/** What connects, in order: nothing of it reaches a network. */
let dialled: Array<Socket>

const last = (): Socket => dialled.at(-1)!

/** Nobody listens there. */
const refused = (): Promise<void> => {
  last().destroy(new Error("ECONNREFUSED"))
  return nextTurn()
}

class Connecting extends Connecter {
  readonly established: Array<Socket>
  private readonly events: Array<Zmq.SocketEvent>

  constructor(settings: Partial<Settings>) {
    const established: Array<Socket> = []
    const events: Array<Zmq.SocketEvent> = []
    super({
      endpoint: "tcp://127.0.0.1:1",
      settings: Object.assign(new Settings("push", false, -1), settings),
      tell: (event) => void events.push(event),
      established: ({ socket }) => void established.push(socket)
    })
    this.established = established
    this.events = events
    this.attempt()
  }

  /** The connection is there, and is lost so many milliseconds later. */
  loses(failure: Failure | undefined, wasReady: boolean, later = 0): number {
    last().emit("connect")
    const now = performance.now()
    const clock = vi.spyOn(performance, "now").mockReturnValue(now + later)
    this.lost(failure, wasReady)
    clock.mockRestore()
    const interval = this.intervals.at(-1)!
    vi.advanceTimersByTime(interval)
    return interval
  }

  get intervals(): ReadonlyArray<number> {
    return this.events.filter(Zmq.SocketEvent.$is("ConnectRetried")).map(({ interval }) => Duration.toMillis(interval))
  }
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })
  dialled = []
  vi.spyOn(Socket.prototype, "connect").mockImplementation(function (this: Socket) {
    dialled.push(this)
    return this
  })
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

it("an attempt that takes longer than it may is given up, and made again", async () => {
  const connecting = new Connecting({ connectTimeout: 1000 })
  vi.advanceTimersByTime(999)
  expect(last().destroyed).toBe(false)
  vi.advanceTimersByTime(1)
  expect(last().destroyed).toBe(true)
  await nextTurn()
  expect(connecting.intervals.length).toBe(1)
  vi.advanceTimersByTime(connecting.intervals[0]!)
  expect(dialled.length).toBe(2)
  // The limit is for connecting alone.
  last().emit("connect")
  vi.advanceTimersByTime(1_000_000)
  expect(last().destroyed).toBe(false)
  expect(connecting.established).toEqual([last()])
})

it("attempts without a limit of time take as long as they take", () => {
  new Connecting({})
  vi.advanceTimersByTime(1_000_000)
  expect(last().destroyed).toBe(false)
  expect(vi.getTimerCount()).toBe(0)
})

it("those that were lost at the same time come again at different times", async () => {
  const random = vi.spyOn(Math, "random")
  for (const [value, interval] of [
    [0, 100],
    [0.25, 125],
    [0.99, 199]
  ] as const) {
    random.mockReturnValue(value)
    const connecting = new Connecting({ reconnectInterval: 100 })
    await refused()
    expect(connecting.intervals).toEqual([interval])
  }
})

it.each([-1, 0])("with an interval of %i a connection is never made again", async (reconnectInterval) => {
  const connecting = new Connecting({ reconnectInterval })
  await refused()
  expect(vi.getTimerCount()).toBe(0)
  const other = new Connecting({ reconnectInterval })
  last().emit("connect")
  other.lost(undefined, true)
  expect(vi.getTimerCount()).toBe(0)
  expect([...connecting.intervals, ...other.intervals]).toEqual([])
  expect(dialled.length).toBe(2)
})

it("whoever is disconnected while an attempt is made is not connected", async () => {
  const connecting = new Connecting({})
  connecting.close()
  expect(last().destroyed).toBe(true)
  // It was on its way.
  last().emit("connect")
  await nextTurn()
  expect(connecting.established).toEqual([])
  expect(connecting.intervals).toEqual([])
  expect(vi.getTimerCount()).toBe(0)
})

it("nor is whoever is disconnected between attempts", async () => {
  const connecting = new Connecting({})
  await refused()
  expect(vi.getTimerCount()).toBe(1)
  connecting.close()
  expect(vi.getTimerCount()).toBe(0)
})

const refusal: Failure = { kind: "authentication", reason: "no", status: 400, phase: "handshake" } as Failure
const timeout: Failure = { ...refusal, kind: "timeout" } as Failure

it("whoever refuses us is asked less and less often, up to ten seconds", () => {
  vi.spyOn(Math, "random").mockReturnValue(0)
  const connecting = new Connecting({})
  const intervals = Array.from({ length: 9 }, () => connecting.loses(refusal, false))
  expect(intervals).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000])
})

it("or up to what the options say", () => {
  vi.spyOn(Math, "random").mockReturnValue(0)
  const connecting = new Connecting({ reconnectInterval: 100, reconnectMaxInterval: 300 })
  expect(Array.from({ length: 4 }, () => connecting.loses(refusal, false))).toEqual([100, 200, 300, 300])
})

it("those that were refused at the same time come again at different times, whatever the limit", () => {
  vi.spyOn(Math, "random").mockReturnValue(0.5)
  const connecting = new Connecting({ reconnectMaxInterval: 300 })
  expect(connecting.loses(refusal, false)).toBe(150)
})

it("whoever refuses us after it has borne us for long is asked soon", () => {
  vi.spyOn(Math, "random").mockReturnValue(0)
  const connecting = new Connecting({})
  for (const _ of [1, 2, 3]) connecting.loses(refusal, false)
  expect(connecting.loses(refusal, true, 9_999)).toBe(800)
  expect(connecting.loses(refusal, true, 10_001)).toBe(100)
})

it("who takes too long to shake hands, or hangs up, does not refuse us", () => {
  vi.spyOn(Math, "random").mockReturnValue(0)
  const connecting = new Connecting({})
  for (const failure of [timeout, undefined])
    expect(Array.from({ length: 3 }, () => connecting.loses(failure, false))).toEqual([100, 100, 100])
})

it("a refusal is forgotten when the connection was there", () => {
  vi.spyOn(Math, "random").mockReturnValue(0)
  const connecting = new Connecting({})
  expect([refusal, refusal, refusal].map((failure) => connecting.loses(failure, false))).toEqual([100, 200, 400])
  expect(connecting.loses(undefined, true)).toBe(100)
})

it("a place that cannot be dialled is tried again, and not told of by a throw", () => {
  vi.spyOn(Socket.prototype, "connect").mockImplementation(() => {
    throw new RangeError("no such port")
  })
  const connecting = new Connecting({})
  expect(connecting.intervals.length).toBe(1)
  expect(vi.getTimerCount()).toBe(1)
})

it("nothing becomes of one that is disconnected", async () => {
  const connecting = new Connecting({})
  connecting.close()
  await nextTurn()
  connecting.lost(undefined, true)
  expect([dialled.length, vi.getTimerCount(), connecting.intervals.length]).toEqual([1, 0, 0])
})

it("nothing is dialled where it is disconnected before there is cryptography", async () => {
  let compiled = (): void => {}
  const settings = Object.defineProperty(new Settings("push", false, -1), "waitsFor", {
    value: new Promise<void>((resolve) => {
      compiled = resolve
    })
  })
  const connecting = [1, 2].map(
    () => new Connecter({ endpoint: "tcp://127.0.0.1:1", settings, tell: () => {}, established: () => {} })
  )
  for (const one of connecting) one.attempt()
  connecting[0]!.close()
  expect(dialled.length).toBe(0)
  compiled()
  await nextTurn()
  expect(dialled.length).toBe(1)
})
