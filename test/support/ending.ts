/**
 * Sends a lot by sockets of all types, and ends: `ending.ts success|signal|failure`, and for each type its name and
 * where to connect. It ends as a program of `NodeRuntime.runMain` does, which calls `process.exit` at once.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Effect } from "effect"
import { Draft, Zmq } from "effect-zmq"
import { ended, frameOf, frames, peer } from "./endings.ts"
import { outcome, until } from "./sockets.ts"

const [, , how, ...args] = process.argv
const options = (connect: string) => ({ connect, sendHighWaterMark: 0, linger: "1 minute" as const })
const all = Array.from({ length: frames }, (_, number) => frameOf(number))

/** Sends all, by a socket of each type. */
const senders: Record<string, (connect: string) => Effect.Effect<unknown, unknown, import("effect/Scope").Scope>> = {
  push: (connect) => Effect.flatMap(Zmq.push(options(connect)), (socket) => socket.sendAll(all)),
  pub: (connect) =>
    Effect.flatMap(Zmq.pub(options(connect)), (socket) =>
      Effect.andThen(socket.awaitSubscribers(""), socket.sendAll(all))
    ),
  xpub: (connect) =>
    Effect.flatMap(Zmq.xpub(options(connect)), (socket) =>
      Effect.andThen(socket.awaitSubscribers(""), socket.sendAll(all))
    ),
  dealer: (connect) => Effect.flatMap(Zmq.dealer(options(connect)), (socket) => socket.sendAll(all)),
  pair: (connect) => Effect.flatMap(Zmq.pair(options(connect)), (socket) => socket.sendAll(all)),
  router: (connect) =>
    Effect.flatMap(Zmq.router(options(connect)), (socket) =>
      Effect.andThen(
        until(Effect.map(outcome(socket.send([peer, "ready"])), (sent) => sent === "ok")),
        socket.sendAll(all.map((frame) => [peer, frame]))
      )
    ),
  req: (connect) => Effect.flatMap(Zmq.req(options(connect)), (socket) => socket.send(Buffer.concat(all))),
  rep: (connect) =>
    Effect.flatMap(Zmq.rep(options(connect)), (socket) => Effect.andThen(socket.recv, socket.send(Buffer.concat(all)))),
  rawStream: (connect) =>
    Effect.flatMap(Zmq.rawStream(options(connect)), (socket) =>
      Effect.flatMap(socket.recv, ([id]) => socket.sendAll(all.map((frame) => [id, frame])))
    ),
  client: (connect) => Effect.flatMap(Draft.client(options(connect)), (socket) => socket.sendAll(all)),
  scatter: (connect) => Effect.flatMap(Draft.scatter(options(connect)), (socket) => socket.sendAll(all))
}

NodeRuntime.runMain(
  Effect.gen(function* () {
    for (let at = 0; at < args.length; at += 2) yield* senders[args[at]!]!(args[at + 1]!)
    console.log("sent")
    if (how === "signal") yield* Effect.never
    if (how === "failure") yield* Effect.fail(ended)
  }).pipe(Effect.scoped),
  { disableErrorReporting: true }
)
