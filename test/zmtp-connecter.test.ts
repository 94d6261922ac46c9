/** How connections are made again, and how they are given up: by a clock that is moved by hand, over no network. */
import { Socket } from "node:net"
import { Duration } from "effect"
import { Zmq } from "effect-zmq"
import { afterEach, beforeEach, expect, it, vi } from "vitest"
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
