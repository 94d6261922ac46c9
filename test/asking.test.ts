/** What libzmq is asked, and how often: each question costs as much as a message. */
import { it } from "@effect/vitest"
import { Effect, Exit, Fiber, Redacted, Scope, Stream } from "effect"
import { Draft, Plain, Zmq } from "effect-zmq"
import { describe, expect } from "vitest"
import * as zmq from "zeromq"
import { Waiter } from "../src/internal/line.ts"
import { Outbox } from "../src/internal/send/outbox.ts"
import { coreOf } from "../src/internal/socket/socket.ts"
import { Credit, roomOf } from "../src/internal/zeromq/credit.ts"
import { ofBinding } from "./support/byEngine.ts"
import { CurrentEngine, engineOn, openNative } from "./support/engine.ts"
import { openScripted } from "./support/scripted.ts"
import { boundTo, freshEndpoint, randomFrom, until, whenFree } from "./support/sockets.ts"

const setting = (option: string, value: boolean | number) => ({ option, value, given: value, expected: "" })
/** How many may be sent for one question, after `written`. */
const granted = (credit: Credit, written = 0): number => {
  for (let i = 0; i < written; i++) credit.spend()
  credit.left = 0
  credit.grant()
  return credit.left
}
const tcp = "tcp://127.0.0.1:5555"

it("the room in a pipe that is not full is never more than there is, and as much as can be known", () => {
  for (let highWaterMark = 1; highWaterMark <= 20; highWaterMark++) {
    // A pipe of libzmq: its writer hears from the reader at every `step` messages.
    const step = Math.floor((highWaterMark + 1) / 2)
    for (let written = 0; written <= 100; written++) {
      let least = Number.POSITIVE_INFINITY
      for (let read = 0; read <= written; read += step) {
        const room = highWaterMark - (written - read)
        if (room > 0) least = Math.min(least, room)
      }
      expect(roomOf(highWaterMark, written)).toBe(least)
    }
  }
})

describe("Credit", () => {
  it("is the room in the pipe of a single connection over a network", () => {
    const credit = new Credit()
    credit.set(setting("sendHighWaterMark", 10))
    credit.connect(tcp)
    expect(granted(credit)).toBe(10)
    expect(granted(credit, 10)).toBe(5)
  })

  it.effect("without a high-water mark holds until the task ends", () =>
    Effect.promise(async () => {
      const credit = new Credit()
      credit.set(setting("sendHighWaterMark", 0))
      // So that peers that leave are noticed after so many at the latest.
      expect(granted(credit)).toBe(256)
      await undefined
      expect(credit.left).toBe(0)
    })
  )

  const make = (...steps: ReadonlyArray<(credit: Credit) => void>) => {
    const credit = new Credit()
    for (const step of steps) step(credit)
    return credit
  }
  const connect = (credit: Credit) => credit.connect(tcp)
  const end = (credit: Credit) => credit.end()
  const yes = (option: string) => (credit: Credit) => credit.set(setting(option, true))
  it.each([
    ["is not connected", make()],
    ["is bound", make(connect, end)],
    ["has two connections", make(connect, connect)],
    ["had a connection that has ended", make(connect, end, connect)],
    ["has its connection over inproc", make((credit) => credit.connect("inproc://credit"))],
    ["has a pipe for each time it connects", make(yes("immediate"), connect)],
    ["sends a probe first", make(yes("probeRouter"), connect)]
  ])("is one message, if a socket %s", (_, credit) => {
    expect(granted(credit)).toBe(1)
  })
})

/**
 * Counts the questions for room, those for messages, the receives that found
 * none, the waits for room, and the messages that libzmq refused after all.
 */
const counting = () => {
  const counts = { questions: 0, questionsForMessages: 0, inVain: 0, returns: 0, waits: 0 }
  const service = engineOn((type, opening) => {
    const native = openNative(type, opening)
    const { raw } = native as unknown as { readonly raw: { readonly writable: boolean } }
    // Where zeromq.js keeps the native socket, only the socket itself may be asked.
    const withCount = new Proxy(raw, {
      get: (target, key) => {
        if (key === "writable") counts.questions++
        if (key === "readable") counts.questionsForMessages++
        const value = Reflect.get(target, key, target)
        if (key === "receive") {
          return () => {
            const received: Promise<unknown> = value.call(target)
            received.catch(() => counts.inVain++)
            return received
          }
        }
        return typeof value === "function" ? value.bind(target) : value
      },
      set: (target, key, value) => Reflect.set(target, key, value, target)
    })
    let onReturned = native.onReturned
    const { room } = native
    return Object.defineProperties(native, {
      raw: { value: withCount },
      room: {
        value: () => {
          counts.waits++
          return room.call(native)
        }
      },
      onReturned: {
        get: () => (message: Zmq.Outgoing) => {
          counts.returns++
          onReturned(message)
        },
        set: (listener) => {
          onReturned = listener
        }
      }
    })
  })
  return { counts, service }
}

describe.skipIf(ofBinding("it counts what zeromq.js is asked"))("a single connection over a network", () => {
  it.live.each([1, 2, 3, 7, 64, 1000])("takes all that it has credit for, with a high-water mark of %i", (mark) => {
    const { counts, service } = counting()
    return Effect.gen(function* () {
      const pull = new zmq.Pull({ receiveHighWaterMark: 1, receiveBufferSize: 4096, linger: 0, receiveTimeout: 60_000 })
      yield* Effect.addFinalizer(() => Effect.sync(() => pull.close()))
      pull.bindSync("tcp://127.0.0.1:*")
      const push = yield* Zmq.push({
        connect: pull.lastEndpoint!,
        sendHighWaterMark: mark,
        sendBufferSize: 4096,
        linger: 0
      })
      // So large that what the kernel holds does not hide the pipe.
      const body = Buffer.alloc(2000)
      let sent = 0
      let received = 0
      const random = randomFrom(mark)
      const next = Effect.map(
        Effect.promise(() => pull.receive()),
        ([frame]) => expect(`${frame}`).toBe(`${received++}`)
      )
      for (let round = 0; round < (mark > 100 ? 10 : 60); round++) {
        while (received < sent) yield* next
        yield* push.sendAll(Array.from({ length: random(mark / 2) }, () => [`${sent++}`, body] as const))
        for (let full = false; !full && sent < received + 20_000; ) {
          full = !(yield* push.trySend([`${sent}`, body]))
          if (!full) sent++
        }
        const many = 1 + random(2 * mark + 3)
        for (let i = 0; i < many && received < sent; i++) yield* next
      }
      while (received < sent) yield* next
      expect(counts.returns).toBe(0)
      expect(push.stats.messagesOut).toBe(sent)
      if (mark >= 64) expect(counts.questions).toBeLessThan(sent)
    }).pipe(Effect.provideService(CurrentEngine, service))
  })
})

describe.skipIf(ofBinding("it counts what zeromq.js is asked"))(
  "of any other socket nobody knows how much room there is",
  () => {
    const changes: Record<string, (push: Zmq.Push, other: string) => Effect.Effect<unknown, unknown, Scope.Scope>> = {
      "is bound as well": (push) => push.bind("tcp://127.0.0.1:*"),
      "is connected twice": (push, other) => push.connect(other),
      "was connected before": (push, other) => Effect.andThen(push.disconnect(push.endpoints[0]!), push.connect(other))
    }
    it.live.each(Object.keys(changes))("it is asked before each message if it %s", (what) => {
      const { counts, service } = counting()
      return Effect.gen(function* () {
        const first = yield* Zmq.pull({ bind: "tcp://127.0.0.1:*" })
        const second = yield* Zmq.pull({ bind: "tcp://127.0.0.1:*" })
        const push = yield* Zmq.push({ connect: first.endpoints[0]! }).pipe(
          Effect.provideService(CurrentEngine, service)
        )
        yield* changes[what]!(push, second.endpoints[0]!)
        for (let i = 0; i < 20; i++) yield* push.send(`${i}`)
        expect(counts.questions).toBeGreaterThanOrEqual(20)
      })
    })
  }
)

it.live.skipIf(ofBinding("it counts what zeromq.js is asked"))(
  "a connection that breaks and comes back has the same pipe",
  () => {
    const { counts, service } = counting()
    return Effect.gen(function* () {
      const endpoint = yield* Effect.scoped(Effect.map(Zmq.pull({ bind: freshEndpoint("tcp") }), boundTo))
      const push = yield* Zmq.push({ connect: endpoint, sendHighWaterMark: 8, sendBufferSize: 4096, linger: 0 }).pipe(
        Effect.provideService(CurrentEngine, service)
      )
      const body = Buffer.alloc(2000)
      let sent = 0
      let last = -1
      for (let round = 0; round < 15; round++) {
        const scope = yield* Scope.make()
        const pull = yield* whenFree(
          Scope.provide(Zmq.pull({ bind: endpoint, receiveHighWaterMark: 1, receiveBufferSize: 4096 }), scope)
        )
        for (let i = 0; i < 20; i++) {
          while (yield* push.trySend([`${sent}`, body])) sent++
          const [frame] = yield* pull.recv
          expect(Number(`${frame}`)).toBeGreaterThan(last)
          last = Number(`${frame}`)
        }
        yield* Scope.close(scope, Exit.void)
      }
      expect(counts.returns).toBe(0)
    })
  }
)

it.live.skipIf(ofBinding("it counts what zeromq.js is asked"))("credit ends with the connection", () => {
  const { counts, service } = counting()
  return Effect.gen(function* () {
    const pull = yield* Zmq.pull({ bind: "tcp://127.0.0.1:*" })
    const push = yield* Zmq.push({ connect: pull.endpoints[0]! }).pipe(Effect.provideService(CurrentEngine, service))
    for (let i = 0; i < 3; i++) yield* push.send(`${i}`)
    expect(counts.questions).toBe(1)
    yield* push.disconnect(pull.endpoints[0]!)
    yield* push.trySend("to nobody")
    expect(counts.questions).toBeGreaterThan(1)
  })
})

it.live.skipIf(ofBinding("it counts what zeromq.js is asked"))(
  "who has waited for room sends on, and does not wait before each message",
  () => {
    const { counts, service } = counting()
    return Effect.gen(function* () {
      const messages = 2000
      const pull = yield* Zmq.pull({ bind: freshEndpoint("inproc"), receiveHighWaterMark: 20 })
      const push = yield* Zmq.push({ connect: boundTo(pull), sendHighWaterMark: 20 }).pipe(
        Effect.provideService(CurrentEngine, service)
      )
      const receiving = yield* Effect.forkChild(Stream.runDrain(Stream.take(pull.messages, messages)))
      for (let sent = 0; sent < messages; sent++) yield* push.send(`${sent}`)
      yield* Fiber.join(receiving)
      expect(counts.waits).toBeGreaterThan(0)
      expect(counts.waits).toBeLessThan(messages / 4)
    })
  }
)

describe("without a high-water mark", () => {
  it.live("a PUSH whose last peer has left waits for the next", () =>
    Effect.gen(function* () {
      const push = yield* Zmq.push({ bind: "tcp://127.0.0.1:*", sendHighWaterMark: 0 })
      const first = yield* Scope.make()
      const pull = yield* Scope.provide(Zmq.pull({ connect: push.endpoints[0]! }), first)
      for (let i = 0; i < 1000; i++) yield* push.send(`${i}`)
      for (let i = 0; i < 1000; i++) expect(yield* pull.recvString).toBe(`${i}`)
      yield* Scope.close(first, Exit.void)
      yield* until(Effect.map(push.trySend("between the two"), (sent) => !sent))
      const waiting = yield* Effect.forkChild(push.send("next"))
      const next = yield* Zmq.pull({ connect: push.endpoints[0]! })
      // What was accepted before it was known that nobody is there goes first.
      const texts = yield* Stream.runCollect(Stream.takeUntil(next.strings, (text) => text === "next"))
      expect(new Set(texts.slice(0, -1))).toEqual(texts.length > 1 ? new Set(["between the two"]) : new Set())
      yield* Fiber.join(waiting)
    })
  )
})

describe.skipIf(ofBinding("it counts what zeromq.js is asked"))(
  "a socket that receives is asked whether there is a message",
  () => {
    // Sends so many messages at a time, and receives them. Returns how often it was asked, for each message.
    const questionsFor = (rounds: number, atATime: number) => {
      const { counts, service } = counting()
      return Effect.gen(function* () {
        // To which all is sent at once: whether there is room is no question for a PUB.
        const pub = yield* Zmq.pub({ bind: freshEndpoint("inproc"), sendHighWaterMark: 0 })
        const sub = yield* Zmq.sub({ connect: boundTo(pub), subscribe: [""], receiveHighWaterMark: 0 }).pipe(
          Effect.provideService(CurrentEngine, service)
        )
        yield* pub.awaitSubscribers("")
        let received = 0
        const receiving = yield* Effect.forkChild(
          sub.runForEach(() =>
            Effect.sync(() => {
              received++
            })
          )
        )
        for (let sent = atATime; sent <= rounds * atATime; sent += atATime) {
          yield* pub.sendAll(Array(atATime).fill("message"))
          yield* until(Effect.sync(() => received === sent))
        }
        yield* Fiber.interrupt(receiving)
        return counts.questionsForMessages / received
      })
    }

    it.live("seldom, if they come one at a time", () =>
      Effect.map(questionsFor(200, 1), (questions) => expect(questions).toBeLessThan(0.1))
    )
    it.live("less than for every third, if many come at a time", () =>
      Effect.map(questionsFor(30, 200), (questions) => expect(questions).toBeLessThan(0.33))
    )
    it.live("about once for 16, if as many come as it takes", () =>
      Effect.map(questionsFor(1, 10_000), (questions) => expect(questions).toBeLessThan(0.08))
    )
  }
)

it.live.skipIf(ofBinding("it counts what zeromq.js is asked"))(
  "a new socket receives at most 3 messages that are not there, however many are",
  () =>
    Effect.gen(function* () {
      for (let messages = 1; messages <= 40; messages++) {
        const { counts, service } = counting()
        const pull = yield* Effect.provideService(Zmq.pull({ bind: freshEndpoint("inproc") }), CurrentEngine, service)
        const push = yield* Zmq.push({ connect: boundTo(pull) })
        yield* push.sendAll(Array(messages).fill("message"))
        for (let received = 0; received < messages; received++) yield* pull.recv
        expect(counts.inVain, `${messages} messages`).toBeLessThanOrEqual(3)
      }
    })
)

describe("sendAll waits for no answers where all will be accepted", () => {
  const sockets = {
    "a PUB": (_: string) => Zmq.pub({ bind: freshEndpoint("inproc") }),
    "a PUSH with a single connection": (endpoint: string) => Zmq.push({ connect: endpoint })
  }
  it.live.each(Object.keys(sockets) as Array<keyof typeof sockets>)("%s", (name) =>
    Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: freshEndpoint("tcp") })
      const socket = yield* sockets[name](boundTo(pull))
      yield* Effect.promise(async () => {
        let sending = true
        let microtasks = 0
        Effect.runPromise(socket.sendAll(Array(200).fill("message"))).finally(() => {
          sending = false
        })
        for (; sending; microtasks++) await undefined
        expect(microtasks).toBeLessThan(100)
      })
    })
  )
})

/** Lets other threads work, and this one do nothing else. */
const spin = (millis: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, millis)

describe.skipIf(ofBinding("libzmq learns in a thread of its own that a peer has left"))(
  "when the last peer leaves in the middle of a task",
  () => {
    // Each gives the texts that were accepted.
    const ways: Record<string, (push: Zmq.Push, texts: Array<string>) => Effect.Effect<Array<string>, unknown>> = {
      trySend: (push, texts) => Effect.filter(texts, (text) => push.trySend(text)),
      sendAll: (push, texts) => Effect.as(push.sendAll(texts), texts)
    }
    it.live.each(Object.keys(ways))("what %s has handed over goes to the next peer, in its order", (way) =>
      Effect.gen(function* () {
        const texts = Array.from({ length: 20 }, (_, i) => `${i}`)
        const left = Effect.gen(function* () {
          const push = yield* Zmq.push({ bind: "tcp://127.0.0.1:*", sendHighWaterMark: 0 })
          const raw = new zmq.Pull({ linger: 0 })
          raw.connect(boundTo(push))
          yield* push.send("hello")
          yield* Effect.promise(() => raw.receive())
          yield* push.send("gone with its peer")
          raw.close()
          spin(100)
          const sending = yield* Effect.forkChild(ways[way]!(push, texts), { startImmediately: true })
          const next = yield* Zmq.pull({ connect: boundTo(push) })
          const accepted = yield* Fiber.join(sending)
          yield* push.send("last")
          const received = yield* Stream.runCollect(Stream.takeUntil(next.strings, (text) => text === "last"))
          // What went before it was known that the peer has left is gone with it.
          expect(received).toEqual([...accepted.slice(accepted.length + 1 - received.length), "last"])
          return accepted.length > 0 && received.length === accepted.length + 1
        })
        yield* until(Effect.scoped(left))
      })
    )
  }
)

it.live("credit does not outlast the task: a pipe that has ended meanwhile is seen", () =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const pull = yield* Scope.provide(Zmq.pull({ bind: "tcp://127.0.0.1:*" }), scope)
    const push = yield* Zmq.push({ connect: boundTo(pull), reconnectInterval: "Infinity" })
    yield* push.send("hello")
    expect(yield* pull.recvString).toBe("hello")
    yield* push.send("gone with its peer")
    yield* Scope.close(scope, Exit.void)
    yield* until(Effect.map(push.trySend("nobody"), (sent) => !sent))
    for (let i = 0; i < 5; i++) expect(yield* push.trySend(`${i}`)).toBe(false)
  })
)

it.live.skipIf(ofBinding("it counts what zeromq.js is asked"))(
  "it is asked before each message once a handshake has failed: the connection may have ended for good",
  () => {
    const { counts, service } = counting()
    return Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: "tcp://127.0.0.1:*" })
      const security = Plain.client({ username: "name", password: Redacted.make("password") })
      const push = yield* Zmq.push({ connect: boundTo(pull), security, linger: 0 })
      yield* Stream.runHead(Stream.filter(push.events, Zmq.SocketEvent.$is("HandshakeFailed")))
      const before = counts.questions
      for (let i = 0; i < 5; i++) yield* push.trySend(`${i}`)
      expect(counts.questions - before).toBe(5)
    }).pipe(Effect.provideService(CurrentEngine, service))
  }
)

it.effect("messages that libzmq gives back go first, in their order", () =>
  Effect.gen(function* () {
    const { port, socket } = yield* openScripted(Zmq.push({ connect: tcp }), { room: 3 })
    yield* socket.sendAll(["1", "2", "3"])
    for (const message of ["1", "2", "3"]) port.giveBack(message)
    expect(yield* socket.trySend("4")).toBe(false)
    const sending = yield* Effect.forkChild(socket.send("4"), { startImmediately: true })
    port.giveRoom(2)
    yield* until(Effect.sync(() => port.isWaiting))
    port.giveRoom(2)
    yield* Fiber.join(sending)
    expect(port.sent).toEqual(["1", "2", "3", "4"])
    expect(socket.stats.messagesOut).toBe(4)
  })
)

it.effect("messages that libzmq gives back go before those that are sent together", () =>
  Effect.gen(function* () {
    const { port, socket } = yield* openScripted(Zmq.push({ connect: tcp }), { room: 3 })
    yield* socket.sendAll(["1", "2", "3"])
    for (const message of ["1", "2", "3"]) port.giveBack(message)
    // There is room for two, and nobody was told yet.
    port.space = 2
    const sending = yield* Effect.forkChild(socket.sendAll(["4", "5"]), { startImmediately: true })
    yield* until(Effect.sync(() => port.sent.length === 2))
    port.giveRoom(9)
    yield* Fiber.join(sending)
    expect(port.sent).toEqual(["1", "2", "3", "4", "5"])
  })
)

it.effect("messages that libzmq gives back wait for room, whoever else waited and has left", () =>
  Effect.gen(function* () {
    const { port, socket } = yield* openScripted(Zmq.push({ connect: tcp }), { room: 2 })
    yield* socket.sendAll(["1", "2"])
    for (const message of ["1", "2"]) port.giveBack(message)
    const waiting = yield* Effect.forkChild(socket.send("3"), { startImmediately: true })
    yield* until(Effect.sync(() => coreOf(socket)!.outbox.hasFull))
    yield* Fiber.interrupt(waiting)
    port.giveRoom(2)
    yield* until(Effect.sync(() => port.sent.length === 2))
    expect(port.sent).toEqual(["1", "2"])
  })
)

it("a sender that leaves does not let a newcomer past one that was woken", () => {
  const sent: Array<unknown> = []
  const engine = {
    offer: (message: unknown) => {
      sent.push(message)
      return "sent"
    },
    awaitRoom: () => {},
    forgoRoom: () => {}
  }
  const outbox = new Outbox(engine as never, "push")
  const nothing = () => {}
  const [first, second] = [new Waiter(nothing, nothing), new Waiter(nothing, nothing)]
  outbox.wait("first", first, false)
  outbox.wait("second", second, false)
  outbox.mayTry("")
  expect(first.state).toBe("woken")
  outbox.leave("second", second)
  expect(outbox.offer("newcomer")).toBe("full")
  expect(outbox.retry("first", first)).toBe("sent")
  expect(sent).toEqual(["first"])
})

it.live.skipIf(ofBinding("drafts are of libzmq"))(
  "a draft socket, which finds a message in the next turn only, looks for all of a backlog at once",
  () => {
    let waits = 0
    const service = engineOn((type, opening) => {
      const native = openNative(type, opening)
      const receive = native.receive
      return Object.defineProperty(native, "receive", {
        value: () => {
          waits++
          return receive.call(native)
        }
      })
    })
    return Effect.gen(function* () {
      // Over which all are there as soon as they are sent.
      const gather = yield* Draft.gather({ bind: freshEndpoint("inproc") }).pipe(
        Effect.provideService(CurrentEngine, service)
      )
      const scatter = yield* Draft.scatter({ connect: boundTo(gather) })
      yield* scatter.send("first")
      yield* gather.recv
      for (let i = 0; i < 500; i++) yield* scatter.send(`${i}`)
      for (let i = 0; i < 500; i++) expect(yield* gather.recvString).toBe(`${i}`)
      expect(waits).toBeLessThan(100)
    })
  }
)
