/** A ROUTER as a `SocketServer` of Effect and a DEALER as its `Socket`: bytes, waiting, ends, and strangers. */
import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Logger, Queue, Schedule } from "effect"
import * as NetAddress from "effect/net/NetAddress"
import { Socket } from "effect/socket"
import { TestClock } from "effect/testing"
import { Curve, Zmq } from "effect-zmq"
import * as SocketServer from "effect-zmq/SocketServer"
import { CurrentEngine } from "../src/internal/currentEngine.ts"
import type { Engine } from "../src/internal/engine.ts"
import { zeromqEngine } from "../src/internal/zeromq/engine.ts"
import { nodeArguments } from "./support/child.ts"
import {
  freshEndpoint,
  numbers,
  openFiles,
  pause,
  randomFrom,
  type Transport,
  transports,
  until
} from "./support/sockets.ts"

// -----------------------------------------------------------------------------
// what they share
// -----------------------------------------------------------------------------

interface Served {
  readonly socket: Socket.Socket
  readonly pull: Socket.Reader["pull"]
  readonly writer: Socket.Writer
}

/** The connections of a server as they come, each until its handler is told that it is done, or has ended. */
const serving = (options: SocketServer.Options) =>
  Effect.gen(function* () {
    const server = yield* SocketServer.make(options)
    const served = yield* Queue.unbounded<Served>()
    const done = yield* Deferred.make<void>()
    const run = yield* Effect.forkScoped(
      server.run((socket) =>
        Effect.gen(function* () {
          const { pull } = yield* socket.reader
          yield* Queue.offer(served, { socket, pull, writer: yield* socket.writer })
          yield* Deferred.await(done)
        }).pipe(Effect.scoped)
      )
    )
    return { server, endpoint: server.endpoints[0]!, next: Queue.take(served), done, run }
  })

const connecting = (options: SocketServer.SocketOptions) =>
  Effect.gen(function* () {
    const socket = yield* SocketServer.makeSocket(options)
    const { pull } = yield* socket.reader
    return { socket, pull, writer: yield* socket.writer }
  })

const textOf = (chunk: Uint8Array | string): string => Buffer.from(chunk as Uint8Array).toString()

/** Reads until so many bytes have come. */
const read = (pull: Socket.Reader["pull"], bytes: number): Effect.Effect<Buffer, Socket.SocketError> =>
  Effect.gen(function* () {
    const all: Array<Buffer> = []
    for (let left = bytes; left > 0; ) {
      for (const chunk of yield* pull) {
        all.push(chunk as Buffer)
        left -= chunk.length
      }
    }
    return Buffer.concat(all)
  })

/** Reads to the end, and says how it ended. */
const readAll = (pull: Socket.Reader["pull"]) =>
  Effect.gen(function* () {
    let all = ""
    const error = yield* Effect.flip(
      Effect.forever(
        Effect.map(pull, (chunks) => {
          all += chunks.map(textOf).join("")
        })
      )
    )
    return { all, ending: endingOf(error) }
  })

const endingOf = ({ reason }: Socket.SocketError): string =>
  reason._tag === "SocketCloseError" ? `${reason.code} ${reason.closeReason ?? ""}`.trim() : reason._tag

const child = (side: "client" | "server", endpoint: string, chunks: number) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly process: ChildProcess; readonly line: string; readonly lines: Array<string> }>(
      (resume) => {
        const { NODE_OPTIONS: _, ...env } = process.env
        const started = spawn(process.execPath, [...nodeArguments("socketPeer.ts"), side, endpoint, `${chunks}`], {
          env,
          stdio: ["ignore", "pipe", "inherit"]
        })
        const lines: Array<string> = []
        createInterface({ input: started.stdout! }).on("line", (line) => {
          lines.push(line)
          resume(Effect.succeed({ process: started, line, lines }))
        })
      }
    ),
    ({ process }) => Effect.sync(() => process.kill("SIGKILL"))
  )

const networks: ReadonlyArray<Transport> = ["tcp", "ipc"]

// -----------------------------------------------------------------------------
// bytes
// -----------------------------------------------------------------------------

describe.each(transports)("over %s", (transport) => {
  it.live("chunks come as they were written, in order, both ways at once", () =>
    Effect.gen(function* () {
      const { endpoint, next } = yield* serving({ bind: freshEndpoint(transport) })
      const client = yield* connecting({ connect: endpoint })
      const server = yield* next
      const random = randomFrom(7)
      const chunks = numbers(0, 3_000).map((i) => {
        const size = [1, 10, 1_000, 70_000][random(100) === 0 ? 3 : random(3)]!
        return Buffer.alloc(random(size) + 1, i)
      })
      const write = (writer: Socket.Writer) =>
        Effect.gen(function* () {
          for (let at = 0; at < chunks.length; ) {
            const some = chunks.slice(at, at + 1 + random(5)) as [Buffer, ...Array<Buffer>]
            yield* some.length === 1 ? writer.write(some[0]) : writer.writeAll(some)
            at += some.length
          }
        })
      const readThem = (pull: Socket.Reader["pull"]) =>
        Effect.gen(function* () {
          const got: Array<Uint8Array | string> = []
          while (got.length < chunks.length) got.push(...(yield* pull))
          return got
        })
      const [, , atServer, atClient] = yield* Effect.all(
        [write(client.writer), write(server.writer), readThem(server.pull), readThem(client.pull)],
        { concurrency: "unbounded" }
      )
      expect(Buffer.concat(atServer as Array<Buffer>).equals(Buffer.concat(chunks))).toBe(true)
      expect(atServer.map(({ length }) => length)).toEqual(chunks.map(({ length }) => length))
      expect(atClient.map(({ length }) => length)).toEqual(chunks.map(({ length }) => length))
      expect(Buffer.concat(atClient as Array<Buffer>).equals(Buffer.concat(chunks))).toBe(true)
    })
  )

  it.live("writes of many fibers come whole", () =>
    Effect.gen(function* () {
      const { endpoint, next } = yield* serving({ bind: freshEndpoint(transport) })
      const client = yield* connecting({ connect: endpoint })
      const server = yield* next
      const writes = numbers(0, 40).map((i) =>
        client.writer.writeAll(numbers(0, 300).map((part) => `${i}:${part};`) as [string, ...Array<string>])
      )
      yield* Effect.forkChild(Effect.all(writes, { concurrency: "unbounded", discard: true }))
      const expected = numbers(0, 40).map((i) => numbers(0, 300).map((part) => `${i}:${part};`))
      const all = yield* read(server.pull, expected.flat().join("").length)
      const parts = all.toString().split(";").filter(Boolean)
      for (let at = 0; at < parts.length; at += 300) {
        const [which] = parts[at]!.split(":")
        expect(parts.slice(at, at + 300)).toEqual(numbers(0, 300).map((part) => `${which}:${part}`))
      }
      expect(parts).toHaveLength(40 * 300)
    })
  )

  for (const writes of ["client", "server"] as const) {
    it.live(
      `the ${writes === "client" ? "server" : "client"} that does not read has the writer wait, at the window`,
      () =>
        Effect.gen(function* () {
          const window = 10_000
          const { endpoint, next } = yield* serving({ bind: freshEndpoint(transport), window })
          const client = yield* connecting({ connect: endpoint, window })
          const server = yield* next
          const [writer, reader] = writes === "client" ? [client.writer, server.pull] : [server.writer, client.pull]
          let written = 0
          const writing = yield* Effect.forkChild(
            Effect.forEach(numbers(0, 100), (i) =>
              Effect.map(writer.write(Buffer.alloc(744, i)), () => {
                written++
              })
            )
          )
          // 744 bytes and 256 for the chunk.
          yield* until(Effect.sync(() => written >= 10))
          yield* pause(50)
          expect(written).toBe(10)
          expect(writing.pollUnsafe()).toBeUndefined()
          const all = yield* read(reader, 100 * 744)
          expect([...all].filter((_, at) => at % 744 === 0)).toEqual(numbers(0, 100))
          yield* Fiber.join(writing)
        })
    )
  }

  it.live("a write that is interrupted while it waits is not sent, and those behind it are", () =>
    Effect.gen(function* () {
      const { endpoint, next } = yield* serving({ bind: freshEndpoint(transport), window: 1024 })
      const client = yield* connecting({ connect: endpoint })
      const server = yield* next
      yield* client.writer.write("x".repeat(1024))
      const given = yield* Effect.forkChild(client.writer.write("given up"), { startImmediately: true })
      const last = yield* Effect.forkChild(client.writer.write("last"), { startImmediately: true })
      yield* Fiber.interrupt(given)
      expect(yield* read(server.pull, 1028)).toEqual(Buffer.from(`${"x".repeat(1024)}last`))
      yield* Fiber.join(last)
    })
  )

  it.live("a chunk that is longer than the window comes alone, one that the peer does not take is an error", () =>
    Effect.gen(function* () {
      const { endpoint, next } = yield* serving({ bind: freshEndpoint(transport), maxMessageSize: 1_000_000 })
      const client = yield* connecting({ connect: endpoint })
      const server = yield* next
      const error = yield* Effect.flip(client.writer.write(Buffer.alloc(1_000_001)))
      expect(error.reason._tag).toBe("SocketWriteError")
      yield* client.writer.write(Buffer.alloc(1_000_000))
      expect((yield* server.pull).map(({ length }) => length)).toEqual([1_000_000])
    })
  )

  // ---------------------------------------------------------------------------
  // ends
  // ---------------------------------------------------------------------------

  it.live("a client whose scope closes: what it wrote is read, and then the end", () =>
    Effect.gen(function* () {
      const { endpoint, next } = yield* serving({ bind: freshEndpoint(transport) })
      yield* Effect.scoped(
        Effect.gen(function* () {
          const client = yield* connecting({ connect: endpoint })
          yield* client.writer.writeAll(numbers(0, 200).map((i) => `${i};`) as [string, ...Array<string>])
        })
      )
      const server = yield* next
      expect(yield* readAll(server.pull)).toEqual({
        all: numbers(0, 200)
          .map((i) => `${i};`)
          .join(""),
        ending: "1000"
      })
      const error = yield* Effect.flip(server.writer.write("too late"))
      expect(error.reason._tag).toBe("SocketWriteError")
    })
  )

  it.live("a handler that ends: what it wrote is read, and then the end", () =>
    Effect.gen(function* () {
      const { done, endpoint, next } = yield* serving({ bind: freshEndpoint(transport) })
      const client = yield* connecting({ connect: endpoint })
      const server = yield* next
      yield* server.writer.write("bye")
      yield* Deferred.succeed(done, undefined)
      expect(yield* readAll(client.pull)).toEqual({ all: "bye", ending: "1000" })
    })
  )

  it.live("a close with a code and a reason, from both sides", () =>
    Effect.gen(function* () {
      const { endpoint, next } = yield* serving({ bind: freshEndpoint(transport) })
      const one = yield* connecting({ connect: endpoint })
      const served = yield* next
      yield* served.writer.write("a")
      yield* served.writer.write(new Socket.CloseEvent(4001, "enough"))
      expect(yield* readAll(one.pull)).toEqual({ all: "a", ending: "4001 enough" })
      const two = yield* connecting({ connect: endpoint })
      const other = yield* next
      yield* two.writer.write(new Socket.CloseEvent(4002, "too much"))
      expect(yield* readAll(other.pull)).toEqual({ all: "", ending: "4002 too much" })
      expect(endingOf(yield* Effect.flip(two.pull))).toBe("4002 too much")
    })
  )

  it.live("a write side that ends: what was written is read, and then the other side ends, too", () =>
    Effect.gen(function* () {
      const { endpoint, next } = yield* serving({ bind: freshEndpoint(transport), window: 1024 })
      const socket = yield* SocketServer.makeSocket({ connect: endpoint })
      const { pull } = yield* socket.reader
      yield* Effect.forkChild(
        Effect.scoped(
          Effect.gen(function* () {
            const writer = yield* socket.writer
            for (const i of numbers(0, 100)) yield* writer.write(`${i};`.padEnd(100))
          })
        )
      )
      const server = yield* next
      yield* server.writer.write("welcome")
      const { all, ending } = yield* readAll(server.pull)
      expect(all.split(/;\s*/).filter(Boolean)).toEqual(numbers(0, 100).map(String))
      expect(ending).toBe("1000")
      expect(yield* readAll(pull)).toEqual({ all: "welcome", ending: "1000" })
      expect((yield* Effect.flip(server.writer.write("late"))).reason._tag).toBe("SocketWriteError")
    })
  )

  it.live("a server whose scope closes: what it wrote is read, and then the end", () =>
    Effect.gen(function* () {
      const endpoint = freshEndpoint(transport)
      const client = yield* Effect.scoped(
        Effect.gen(function* () {
          const { endpoint: bound, next } = yield* serving({ bind: endpoint })
          const socket = yield* SocketServer.makeSocket({ connect: bound })
          const scope = yield* Effect.forkDetach(
            Effect.scoped(Effect.flatMap(socket.reader, ({ pull }) => Effect.andThen(pause(50), readAll(pull))))
          )
          const server = yield* next
          yield* server.writer.write("closing")
          return scope
        })
      )
      expect(yield* Fiber.join(client)).toEqual({ all: "closing", ending: "1000" })
    })
  )

  it.live("closing the scope of the reader fails a pull that waits", () =>
    Effect.gen(function* () {
      const { endpoint, next } = yield* serving({ bind: freshEndpoint(transport) })
      const pulling = yield* Effect.scoped(
        Effect.gen(function* () {
          const { pull } = yield* connecting({ connect: endpoint })
          const fiber = yield* Effect.forkDetach(Effect.flip(pull), { startImmediately: true })
          yield* next
          return fiber
        })
      )
      expect(endingOf(yield* Fiber.join(pulling))).toBe("1000")
    })
  )

  it.live("writes wait for the next connection, which a retry of the run makes", () =>
    Effect.gen(function* () {
      const { endpoint, next } = yield* serving({ bind: freshEndpoint(transport) })
      const socket = yield* SocketServer.makeSocket({ connect: endpoint })
      const writer = yield* socket.writer
      const early = yield* Effect.forkChild(writer.write("early"), { startImmediately: true })
      const run = Effect.scoped(Effect.flatMap(socket.reader, ({ pull }) => Effect.forever(pull)))
      yield* Effect.forkChild(Effect.retry(run, Schedule.forever))
      const first = yield* next
      yield* Fiber.join(early)
      expect(yield* read(first.pull, 5)).toEqual(Buffer.from("early"))
      yield* first.writer.write(new Socket.CloseEvent(1000))
      const second = yield* next
      yield* writer.write("again")
      expect(yield* read(second.pull, 5)).toEqual(Buffer.from("again"))
    })
  )

  it.live("an interrupted run ends its handlers and their connections, and the next run serves who comes", () =>
    Effect.gen(function* () {
      const { endpoint, next, run, server } = yield* serving({ bind: freshEndpoint(transport) })
      const client = yield* connecting({ connect: endpoint })
      yield* next
      yield* Fiber.interrupt(run)
      expect((yield* readAll(client.pull)).ending).toBe("1000")
      // It waits, as nobody serves it yet.
      const waiting = yield* Effect.forkChild(connecting({ connect: endpoint }), { startImmediately: true })
      const echo = (socket: Socket.Socket) =>
        Effect.scoped(
          Effect.gen(function* () {
            const { pull } = yield* socket.reader
            const { writeAll } = yield* socket.writer
            return yield* Effect.forever(Effect.flatMap(pull, writeAll))
          })
        ).pipe(Effect.ignore)
      yield* Effect.forkChild(server.run(echo))
      const late = yield* Fiber.join(waiting)
      yield* late.writer.write("served")
      expect(yield* read(late.pull, 6)).toEqual(Buffer.from("served"))
    })
  )

  it.live("a handler that fails, or dies, ends its connection and nothing else", () =>
    Effect.gen(function* () {
      const server = yield* SocketServer.make({ bind: freshEndpoint(transport) })
      let handled = 0
      yield* Effect.forkChild(
        server.run((socket) => {
          handled++
          if (handled === 1) throw new Error("thrown")
          return handled === 2 ? Effect.die("died") : Effect.scoped(Effect.andThen(socket.reader, Effect.never))
        })
      )
      const connect = server.endpoints[0]!
      for (const _ of [1, 2]) {
        const error = yield* Effect.flip(Effect.scoped(connecting({ connect })))
        expect(error.reason._tag).toBe("SocketOpenError")
      }
      yield* connecting({ connect })
    }).pipe(Effect.provide(Logger.layer([])))
  )

  it.live("hundreds of connections leave nothing behind", () =>
    Effect.gen(function* () {
      const { done, endpoint, server } = yield* serving({ bind: freshEndpoint(transport) })
      yield* Deferred.succeed(done, undefined)
      const one = Effect.scoped(
        Effect.gen(function* () {
          const client = yield* connecting({ connect: endpoint })
          yield* readAll(client.pull)
        })
      )
      yield* Effect.repeat(one, { times: 50 })
      const before = openFiles()
      yield* Effect.repeat(one, { times: 300 })
      yield* until(Effect.sync(() => openFiles() <= before + 20))
      expect(server.endpoints).toHaveLength(1)
    })
  )
})

// -----------------------------------------------------------------------------
// processes that are killed
// -----------------------------------------------------------------------------

describe.each(networks)("over %s, a process that is killed", (transport) => {
  it.live("as a client: what it had written is read, and its end is known within a second", () =>
    Effect.gen(function* () {
      const { endpoint, next } = yield* serving({ bind: freshEndpoint(transport) })
      const other = yield* connecting({ connect: endpoint })
      const kept = yield* next
      const { process, lines } = yield* child("client", endpoint, 500)
      const server = yield* next
      yield* until(Effect.sync(() => lines.includes("written")))
      const killed = performance.now()
      process.kill("SIGKILL")
      const { all, ending } = yield* readAll(server.pull)
      const took = performance.now() - killed
      expect(all).toBe(
        numbers(0, 500)
          .map((i) => `${i};`)
          .join("")
      )
      expect(ending).toBe("1006 the peer has gone")
      expect(took).toBeLessThan(1_000)
      yield* other.writer.write("still here")
      expect(yield* read(kept.pull, 10)).toEqual(Buffer.from("still here"))
    })
  )

  it.live("as a server: what it had written is read, its end is known, and a retry finds the next one", () =>
    Effect.gen(function* () {
      const first = yield* child("server", freshEndpoint(transport), 500)
      const endpoint = first.line
      // What is left to say to one who is gone keeps nobody.
      const socket = yield* SocketServer.makeSocket({ connect: endpoint, openTimeout: "1 minute", linger: "1 minute" })
      let took = 0
      const one = yield* Effect.scoped(
        Effect.gen(function* () {
          const { pull } = yield* socket.reader
          yield* until(Effect.sync(() => first.lines.includes("written")))
          first.process.kill("SIGKILL")
          const killed = performance.now()
          const end = yield* readAll(pull)
          took = performance.now() - killed
          return end
        })
      )
      expect(one).toEqual({
        all: numbers(0, 500)
          .map((i) => `${i};`)
          .join(""),
        ending: "1006 the peer has gone"
      })
      expect(took).toBeLessThan(1_000)
      const second = yield* Effect.forkChild(Effect.scoped(Effect.flatMap(socket.reader, ({ pull }) => read(pull, 4))))
      yield* child("server", endpoint, 2)
      expect(yield* Fiber.join(second)).toEqual(Buffer.from("0;1;"))
    })
  )

  it.live("as a client that had not been read: it is the end of the write that waits, and of nothing else", () =>
    Effect.gen(function* () {
      const { endpoint, next } = yield* serving({ bind: freshEndpoint(transport), window: 2048 })
      const { process } = yield* child("client", endpoint, 0)
      const server = yield* next
      // It reads nothing: its window is 256 KiB.
      const writing = yield* Effect.forkChild(Effect.flip(Effect.forever(server.writer.write(Buffer.alloc(10_000)))), {
        startImmediately: true
      })
      yield* pause(100)
      expect(writing.pollUnsafe()).toBeUndefined()
      process.kill("SIGKILL")
      expect((yield* Fiber.join(writing)).reason._tag).toBe("SocketWriteError")
      expect(endingOf(yield* Effect.flip(server.pull))).toBe("1006 the peer has gone")
    })
  )
})

describe("a client", () => {
  it.live("that is stopped is given up by the heartbeats", () =>
    Effect.gen(function* () {
      const { endpoint, next } = yield* serving({ bind: freshEndpoint("tcp"), heartbeatInterval: 100 })
      const { process } = yield* child("client", endpoint, 1)
      const server = yield* next
      yield* read(server.pull, 2)
      process.kill("SIGSTOP")
      expect(endingOf(yield* Effect.flip(server.pull))).toBe("1006 the peer has gone")
      process.kill("SIGKILL")
    })
  )

  it.effect("that has gone without a word is asked for, where the engine tells nothing", () =>
    Effect.gen(function* () {
      const silent: Engine = {
        openContext: (options) => zeromqEngine.openContext(options),
        open: ({ farewell: _, ...opening }, owner) => zeromqEngine.open(opening, owner)
      }
      const { endpoint, next } = yield* Effect.provideService(
        serving({ bind: freshEndpoint("tcp") }),
        CurrentEngine,
        silent
      )
      const left = yield* Effect.scoped(
        Effect.gen(function* () {
          const stranger = yield* Zmq.dealer({ connect: endpoint })
          yield* stranger.send(raw.open(1024))
          const server = yield* next
          yield* stranger.recv
          return server
        })
      )
      const ended = yield* Effect.forkChild(Effect.flip(left.pull))
      yield* pause(100)
      expect(ended.pollUnsafe()).toBeUndefined()
      yield* until(
        Effect.andThen(
          TestClock.adjust("10 seconds"),
          Effect.sync(() => ended.pollUnsafe() !== undefined)
        )
      )
      expect(endingOf(yield* Fiber.join(ended))).toBe("1006 the peer has gone")
    })
  )

  for (const transport of transports) {
    it.live(
      `over ${transport}, in a storm of interruptions: what was written is read once, and what was given up at most once`,
      () =>
        Effect.gen(function* () {
          const { endpoint, next } = yield* serving({ bind: freshEndpoint(transport), window: 4_000 })
          const client = yield* connecting({ connect: endpoint })
          const server = yield* next
          const random = randomFrom(11)
          const written = new Set<string>()
          const begun = new Set<string>()
          const writers = numbers(0, 20).map((writer) =>
            Effect.gen(function* () {
              for (const i of numbers(0, 60)) {
                const name = `${writer}.${i}`
                begun.add(name)
                const chunk = `${name};`.padEnd(1 + random(900))
                const write = Effect.map(client.writer.write(`<${chunk}>`), () => void written.add(name))
                const fiber = yield* Effect.forkChild(write, { startImmediately: true })
                if (random(2) === 0) yield* random(2) === 0 ? Effect.yieldNow : pause(random(3))
                yield* random(3) === 0 ? Fiber.interrupt(fiber) : Fiber.join(fiber)
              }
            })
          )
          let all = ""
          const reading = yield* Effect.forkChild(
            Effect.forever(
              Effect.gen(function* () {
                all += (yield* server.pull).map(textOf).join("")
                if (random(4) === 0) yield* pause(1)
              })
            )
          )
          yield* Effect.all(writers, { concurrency: "unbounded", discard: true })
          yield* client.writer.write("<last;>")
          yield* until(Effect.sync(() => all.endsWith("<last;>")))
          yield* Fiber.interrupt(reading)
          const got = [...all.matchAll(/<([^;]*);[^>]*>/g)].map(([, name]) => name!)
          expect([...all.matchAll(/<[^>]*>/g)].join("")).toBe(all)
          expect(new Set(got).size).toBe(got.length)
          expect([...written].filter((name) => !got.includes(name))).toEqual([])
          expect(got.filter((name) => name !== "last" && !begun.has(name))).toEqual([])
          for (const writer of numbers(0, 20)) {
            const own = got.filter((name) => name.startsWith(`${writer}.`)).map((name) => Number(name.split(".")[1]))
            expect(own).toEqual([...own].sort((a, b) => a - b))
          }
          expect(written.size).toBeLessThan(begun.size)
        })
    )
  }
})

// -----------------------------------------------------------------------------
// who may connect
// -----------------------------------------------------------------------------

describe("a connection", () => {
  it.live("to nobody fails when the openTimeout has passed", () =>
    Effect.gen(function* () {
      for (const connect of ["tcp://127.0.0.1:9", freshEndpoint("ipc"), freshEndpoint("inproc")]) {
        const socket = yield* SocketServer.makeSocket({ connect, openTimeout: 50 })
        const { reason } = yield* Effect.flip(Effect.scoped(socket.reader))
        expect(reason).toMatchObject({ _tag: "SocketOpenError", kind: "Timeout" })
      }
    })
  )

  it.live("with options that cannot be is a typed error, on both sides", () =>
    Effect.gen(function* () {
      const bind = freshEndpoint("inproc")
      for (const wrong of [{ window: 0 }, { window: 1.5 }, { maxPending: -1 }, { linger: "never" as never }]) {
        const error = yield* Effect.flip(Effect.scoped(SocketServer.make({ bind, ...wrong })))
        expect(error.reason._tag).toBe("SocketServerOpenError")
        expect(error.reason.cause).toMatchObject({ _tag: "OptionError", option: Object.keys(wrong)[0] })
      }
      const socket = yield* SocketServer.makeSocket({ connect: bind, window: 17 * 1024 * 1024 })
      const { reason } = yield* Effect.flip(Effect.scoped(socket.reader))
      expect(reason).toMatchObject({ _tag: "SocketOpenError", kind: "Unknown", cause: { option: "window" } })
      const twice = Effect.gen(function* () {
        const server = yield* SocketServer.make({ bind: "tcp://127.0.0.1:*" })
        yield* SocketServer.make({ bind: server.endpoints[0]! })
      })
      expect((yield* Effect.flip(Effect.scoped(twice))).reason.cause).toMatchObject({ _tag: "BindError" })
    })
  )

  it.live("over CURVE, and one that is refused", () =>
    Effect.gen(function* () {
      const server = yield* Curve.generate
      const client = yield* Curve.generate
      const { endpoint, next } = yield* serving({
        bind: freshEndpoint("tcp"),
        security: Curve.server({ keys: server })
      })
      const ours = yield* connecting({
        connect: endpoint,
        security: Curve.client({ keys: client, serverKey: server.publicKey })
      })
      yield* ours.writer.write("secret")
      expect(yield* read((yield* next).pull, 6)).toEqual(Buffer.from("secret"))
      const stranger = yield* SocketServer.makeSocket({ connect: endpoint, openTimeout: "1 minute" })
      const { reason } = yield* Effect.flip(Effect.scoped(stranger.reader))
      expect(reason).toMatchObject({ _tag: "SocketOpenError", kind: "Unknown", cause: { _tag: "Refused" } })
    }).pipe(Effect.provide(Logger.layer([])))
  )

  it.live("has an address for each transport", () =>
    Effect.gen(function* () {
      const tcp = yield* SocketServer.make({ bind: "tcp://127.0.0.1:*" })
      expect(`tcp://${NetAddress.formatSocketAddress(tcp.address)}`).toBe(tcp.endpoints[0])
      const six = yield* SocketServer.make({ bind: "tcp://[::1]:*", ipv6: true })
      expect(`tcp://${NetAddress.formatSocketAddress(six.address)}`).toBe(six.endpoints[0])
      const ipc = freshEndpoint("ipc")
      const path = (yield* SocketServer.make({ bind: ipc })).address
      expect(path).toEqual(NetAddress.unixPathAddress(ipc.slice("ipc://".length)))
      const inproc = yield* SocketServer.make({ bind: ["inproc://named", "tcp://127.0.0.1:*"] })
      expect(inproc.address).toEqual(NetAddress.unixPathAddress("inproc://named"))
      expect(inproc.endpoints).toHaveLength(2)
    })
  )
})

// -----------------------------------------------------------------------------
// strangers
// -----------------------------------------------------------------------------

/** Messages of the protocol, by hand: see `docs/socket-server.md`. */
const raw = {
  open: (window: number) => {
    const header = Buffer.from([1, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff])
    header.writeUInt32BE(window, 2)
    return [header] as [Buffer]
  },
  data: (...chunks: Array<string | Buffer>) => [Buffer.from([2]), ...chunks] as [Buffer, ...Array<string | Buffer>],
  credit: (more: number) => {
    const header = Buffer.from([3, 0, 0, 0, 0])
    header.writeUInt32BE(more, 1)
    return [header] as [Buffer]
  }
}

const nonsense: Record<string, ReadonlyArray<Zmq.Outgoing>> = {
  "nothing but an empty frame": [""],
  "a word that is none": [Buffer.from([0])],
  "a word of another version": [Buffer.from([1, 2, 0, 0, 1, 0, 0, 0, 1, 0])],
  "a word cut short": [Buffer.from([1, 1, 0])],
  text: ["hello"],
  "many frames": [numbers(0, 2_000).map(String) as [string, ...Array<string>]],
  "data before anything else": [raw.data("x")],
  "data with no chunk": [raw.open(1024), Buffer.from([2])],
  "data in the header": [raw.open(1024), [Buffer.from("\x02x"), "y"]],
  "a window of nothing": [raw.open(0)],
  "the beginning twice": [raw.open(1024), raw.open(1024)],
  "the end twice": [raw.open(1024), Buffer.from([4]), Buffer.from([4]), raw.data("x")],
  "a code cut short": [raw.open(1024), Buffer.from([5, 0])],
  "a credit with a tail": [raw.open(1024), [...raw.credit(5), "x"]],
  "more chunks than a message may have": [raw.open(1024), raw.data(...numbers(0, 1_000).map(String))]
}

describe("a stranger", () => {
  it.live("that says nonsense, ten thousand times, is no matter to the others", () =>
    Effect.gen(function* () {
      const { endpoint, next } = yield* serving({ bind: freshEndpoint("tcp") })
      const client = yield* connecting({ connect: endpoint })
      const server = yield* next
      const strangers = Effect.forEach(
        Object.values(nonsense),
        (messages) =>
          Effect.scoped(
            Effect.gen(function* () {
              const stranger = yield* Zmq.dealer({ connect: endpoint })
              yield* Effect.forkChild(Effect.forever(stranger.recv))
              for (const _ of numbers(0, Math.ceil(625 / messages.length))) yield* stranger.sendAll(messages)
            })
          ),
        { discard: true, concurrency: 4 }
      )
      const storm = yield* Effect.forkChild(strangers)
      let round = 0
      while (storm.pollUnsafe() === undefined || round < 100) {
        yield* client.writer.write(`${round};`)
        expect((yield* server.pull).map(textOf).join("")).toBe(`${round};`)
        round++
      }
      yield* Fiber.join(storm)
    })
  )

  for (const [name, messages] of Object.entries(nonsense)) {
    it.live(`that says ${name} is told so, or has its connection ended`, () =>
      Effect.gen(function* () {
        const { endpoint, next } = yield* serving({ bind: freshEndpoint("tcp"), window: 1024 })
        const stranger = yield* Zmq.dealer({ connect: endpoint })
        yield* stranger.sendAll(messages)
        // In order, behind all that.
        yield* Effect.forkChild(Effect.forever(Effect.ignore(Effect.flatMap(next, ({ pull }) => pull))))
        const silent = ["nothing but an empty frame", "a credit with a tail", "the beginning twice"]
        if (!silent.includes(name)) {
          const words = yield* untilClosed(stranger)
          expect(words.at(-1)![0]![0]).toBe(5)
        }
        const ours = yield* connecting({ connect: endpoint })
        yield* ours.writer.write("served")
      })
    )
  }

  it.live("that sends data before it is let in is ended, and nobody serves it", () =>
    Effect.gen(function* () {
      const server = yield* SocketServer.make({ bind: freshEndpoint("tcp") })
      const stranger = yield* Zmq.dealer({ connect: server.endpoints[0]! })
      yield* stranger.sendAll([raw.open(1024), raw.data("x")])
      yield* untilClosed(stranger)
      let served = 0
      yield* Effect.forkChild(
        server.run((socket) => {
          served++
          return Effect.scoped(Effect.andThen(socket.reader, Effect.never))
        })
      )
      yield* connecting({ connect: server.endpoints[0]! })
      expect(served).toBe(1)
    })
  )

  it.live("that sends more than it may is ended, and has had no more than the window kept", () =>
    Effect.gen(function* () {
      const { endpoint, next } = yield* serving({ bind: freshEndpoint("tcp"), window: 4096 })
      const stranger = yield* Zmq.dealer({ connect: endpoint })
      yield* stranger.send(raw.open(1024))
      yield* stranger.recv
      const server = yield* next
      yield* stranger.sendAll(numbers(0, 1_000).map(() => raw.data(Buffer.alloc(744))))
      const { all, ending } = yield* readAll(server.pull)
      // It may go over by one.
      expect(all.length).toBe(5 * 744)
      expect(ending).toBe("1002 more data than is allowed")
    })
  )

  it.live("that says it reads, and does not, is ended at a bound, and the others are served", () =>
    Effect.gen(function* () {
      const { endpoint, next } = yield* serving({ bind: freshEndpoint("tcp"), sendHighWaterMark: 10 })
      const stranger = yield* Zmq.dealer({ connect: endpoint, receiveHighWaterMark: 1, linger: 0 })
      yield* stranger.send(raw.open(100_000))
      const server = yield* next
      const lying = yield* Effect.forkChild(
        Effect.forever(Effect.andThen(stranger.send(raw.credit(100_000)), pause(1)))
      )
      let sent = 0
      const error = yield* Effect.flip(
        Effect.forever(
          Effect.map(server.writer.write(Buffer.alloc(50_000)), () => {
            sent += 50_000
          })
        )
      )
      expect(error.reason._tag).toBe("SocketWriteError")
      expect(endingOf(yield* Effect.flip(server.pull))).toBe("1008 the peer does not read what it is sent")
      // What the network took, and its window.
      expect(sent).toBeLessThan(50_000_000)
      yield* Fiber.interrupt(lying)
      const ours = yield* connecting({ connect: endpoint })
      yield* ours.writer.write("served")
      expect(yield* read((yield* next).pull, 6)).toEqual(Buffer.from("served"))
    })
  )

  it.live("a client for which too much would wait is ended, and the others are served", () =>
    Effect.gen(function* () {
      const { endpoint, next } = yield* serving({ bind: freshEndpoint("tcp"), maxPending: 100_000 })
      const lazy = yield* connecting({ connect: endpoint, window: 2048 })
      const server = yield* next
      const writes = yield* Effect.forkChild(
        Effect.forEach(numbers(0, 200), () => Effect.exit(server.writer.write(Buffer.alloc(744))), {
          concurrency: "unbounded"
        })
      )
      const outcomes = (yield* Fiber.join(writes)).map(({ _tag }) => _tag)
      // Two were sent, one was in front, and a hundred wait behind it.
      expect(outcomes.filter((tag) => tag === "Success")).toHaveLength(3)
      expect(endingOf(yield* Effect.flip(server.pull))).toBe("1008 the peer does not read what it is sent")
      expect((yield* readAll(lazy.pull)).ending).toBe("1008 the peer does not read what it is sent")
      const ours = yield* connecting({ connect: endpoint })
      yield* ours.writer.write("served")
      expect(yield* read((yield* next).pull, 6)).toEqual(Buffer.from("served"))
    })
  )

  it.live("one that comes back under its name has a new connection", () =>
    Effect.gen(function* () {
      const { endpoint, next } = yield* serving({ bind: freshEndpoint("tcp") })
      const named = yield* Zmq.dealer({ connect: endpoint, routingId: "name" })
      yield* named.send(raw.open(1024))
      const first = yield* next
      yield* named.recv
      yield* named.send(raw.open(1024))
      const second = yield* next
      yield* named.recv
      expect(endingOf(yield* Effect.flip(first.pull))).toBe("1006 the peer has gone")
      yield* named.send(raw.data("again"))
      expect(yield* read(second.pull, 5)).toEqual(Buffer.from("again"))
    })
  )
})

/** What a stranger is told, until its connection is ended. */
const untilClosed = (stranger: Zmq.Dealer) =>
  Effect.gen(function* () {
    const words: Array<Zmq.Message> = []
    while (words.at(-1)?.[0]?.[0] !== 5) words.push(yield* stranger.recv)
    return words
  })
