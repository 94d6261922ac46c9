/**
 * One side of a connection, until it is killed. Its arguments are which it is, the
 * endpoint, and how many chunks it writes. Prints when those are written, or where it listens.
 */
import { Effect } from "effect"
import * as SocketServer from "../../src/SocketServer.ts"

const [side, endpoint, chunks] = process.argv.slice(2) as [string, string, string]

const write = (writer: { readonly write: (chunk: string) => Effect.Effect<void, unknown> }) =>
  Effect.forEach(
    Array.from({ length: Number(chunks) }, (_, i) => `${i};`),
    (chunk) => writer.write(chunk),
    { discard: true }
  )

// Nothing tells when libzmq has handed over all of it to the operating system.
const sent = Effect.sleep("200 millis")

const client = Effect.gen(function* () {
  const socket = yield* SocketServer.makeSocket({ connect: endpoint })
  yield* socket.reader
  yield* write(yield* socket.writer)
  yield* sent
  console.log("written")
  return yield* Effect.never
})

const server = Effect.gen(function* () {
  const made = yield* SocketServer.make({ bind: endpoint })
  console.log(made.endpoints[0])
  return yield* made.run((socket) =>
    Effect.gen(function* () {
      yield* socket.reader
      yield* write(yield* socket.writer)
      yield* sent
      console.log("written")
      return yield* Effect.never
    }).pipe(Effect.scoped)
  )
})

Effect.runFork(Effect.scoped(side === "client" ? client : server))
