/**
 * The ways to receive that are measured, as a user would write them.
 *
 * Each contender imports a copy of this file (`receive.ts`), so that none is
 * measured with what V8 has learned of another: it keeps one record of types for
 * each function, and most functions here are several contenders'.
 */
import { Effect, Schema, Stream } from "effect"
import { Zmq } from "effect-zmq"
import type * as zmq from "zeromq"
import { handle } from "./harness.ts"

/** Receives so many messages and returns how many bytes or characters they had. */
export type Raw = (socket: zmq.Pull, messages: number) => Promise<number>
export type Program<Socket> = (socket: Socket, messages: number) => Effect.Effect<number, unknown>

const size = (message: ReadonlyArray<Buffer>): number => {
  let bytes = 0
  for (const frame of message) bytes += frame.length
  return bytes
}

// -----------------------------------------------------------------------------
// zeromq.js
// -----------------------------------------------------------------------------

const forAwait =
  (read: (message: Array<Buffer>) => number): Raw =>
  async (socket, messages) => {
    let received = 0
    let total = 0
    for await (const message of socket) {
      total += read(message)
      if (++received === messages) break
    }
    return total
  }

const receiveLoop: Raw = async (socket, messages) => {
  let total = 0
  for (let received = 0; received < messages; received++) total += size(await socket.receive())
  return total
}

const asText = (message: Array<Buffer>): number => message[0]!.toString().length
const asJson = (message: Array<Buffer>): number => JSON.parse(message[0]!.toString()).length + 2

// -----------------------------------------------------------------------------
// what one does with an Effect, a stream or a handler
// -----------------------------------------------------------------------------

const loop =
  <Socket, A>(receive: (socket: Socket) => Effect.Effect<A, unknown>, read: (value: A) => number): Program<Socket> =>
  (socket, messages) => {
    const one = receive(socket)
    return Effect.gen(function* () {
      let total = 0
      for (let received = 0; received < messages; received++) total += read(yield* one)
      return total
    })
  }

const folded =
  <Socket, A>(stream: (socket: Socket) => Stream.Stream<A, unknown>, read: (value: A) => number): Program<Socket> =>
  (socket, messages) =>
    stream(socket).pipe(
      Stream.take(messages),
      Stream.runFold(
        () => 0,
        (total, value) => total + read(value)
      )
    )

// With an Effect for each element.
const handled =
  <A>(stream: (socket: Zmq.Pull) => Stream.Stream<A, unknown>, read: (value: A) => number): Program<Zmq.Pull> =>
  (socket, messages) =>
    Effect.suspend(() => {
      let total = 0
      const handle = (value: A) =>
        Effect.sync(() => {
          total += read(value)
        })
      return stream(socket).pipe(
        Stream.take(messages),
        Stream.runForEach(handle),
        Effect.map(() => total)
      )
    })

const length = (text: string): number => text.length
// Without its quotation marks.
const jsonLength = (text: string): number => text.length + 2

// -----------------------------------------------------------------------------
// the obvious wrapper
// -----------------------------------------------------------------------------

const wrapped = (socket: zmq.Pull) => Effect.tryPromise(() => socket.receive())
const wrappedText = (socket: zmq.Pull) => Effect.map(wrapped(socket), ([frame]) => frame!.toString())
const wrappedSchema = (socket: zmq.Pull) =>
  Effect.flatMap(wrappedText(socket), Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.String)))

const wrapperHandler: Program<zmq.Pull> = (socket, messages) => {
  const receive = wrapped(socket)
  return Effect.gen(function* () {
    let total = 0
    const handler = (message: Array<Buffer>) => {
      total += size(message)
      return Effect.void
    }
    for (let received = 0; received < messages; received++) yield* handler(yield* receive)
    return total
  })
}

const run =
  (program: Program<zmq.Pull>): Raw =>
  (socket, messages) =>
    Effect.runPromise(program(socket, messages))

/** On a socket of zeromq.js. */
export const theirs = {
  "for await": forAwait(size),
  "for await, text": forAwait(asText),
  "for await, JSON": forAwait(asJson),
  "receive()": receiveLoop,
  wrapper: run(loop(wrapped, size)),
  "wrapper, text": run(loop(wrappedText, length)),
  "wrapper, schema": run(loop(wrappedSchema, jsonLength)),
  "wrapper, stream of text": run(folded((socket) => Stream.fromEffectRepeat(wrappedText(socket)), length)),
  "wrapper, handler": run(wrapperHandler)
} satisfies Record<string, Raw>

// -----------------------------------------------------------------------------
// ours
// -----------------------------------------------------------------------------

const runForEach =
  (concurrency: number): Program<Zmq.Pull> =>
  (socket, messages) =>
    Effect.suspend(() => {
      let total = 0
      const add = (message: Zmq.Message) => {
        total += size(message)
      }
      return Effect.map(handle(socket, messages, add, concurrency), () => total)
    })

const accessed = loop(() => Zmq.recvString as Effect.Effect<string>, length)
const viaAccessor: Program<Zmq.Pull> = (socket, messages) =>
  Effect.provideService(accessed(socket, messages), Zmq.Receiver, socket)

/** On a socket of effect-zmq. */
export const ours = {
  recv: loop((socket: Zmq.Pull) => socket.recv, size),
  recvString: loop((socket: Zmq.Pull) => socket.recvString, length),
  recvSchema: loop((socket: Zmq.Pull) => socket.recvSchema(Schema.String), jsonLength),
  "Zmq.recvString": viaAccessor,
  strings: folded((socket: Zmq.Pull) => socket.strings, length),
  "strings, Stream.runForEach": handled((socket) => socket.strings, length),
  messages: folded((socket: Zmq.Pull) => socket.messages, size),
  runForEach: runForEach(1),
  "runForEach, 16 at a time": runForEach(16)
} satisfies Record<string, Program<Zmq.Pull>>
