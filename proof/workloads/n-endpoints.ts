/** The row of (n) for endpoints, which are free when a socket has closed. */
import { connect, createServer } from "node:net"
import { Effect, Exit, type Scope } from "effect"
import { Zmq } from "effect-zmq"
import * as zmq from "zeromq"
import { randomOf, seed, someMoment } from "../moments.ts"
import type { Outcome, Size } from "../row.ts"
import { ipc } from "../wait.ts"
import { progress, settle } from "../watch.ts"

const opens = {
  pull: [Zmq.pull, () => new zmq.Push({ linger: 0, sendTimeout: 0 })],
  push: [Zmq.push, () => new zmq.Pull({ linger: 0 })],
  pub: [Zmq.pub, () => new zmq.Subscriber({ linger: 0 })],
  sub: [(options: Zmq.PullOptions) => Zmq.sub({ ...options, subscribe: [""] }), () => new zmq.Publisher({ linger: 0 })],
  req: [Zmq.req, () => new zmq.Reply({ linger: 0 })],
  rep: [Zmq.rep, () => new zmq.Request({ linger: 0, sendTimeout: 0 })],
  dealer: [Zmq.dealer, () => new zmq.Dealer({ linger: 0, sendTimeout: 0 })],
  router: [Zmq.router, () => new zmq.Dealer({ linger: 0, sendTimeout: 0 })],
  pair: [Zmq.pair, () => new zmq.Pair({ linger: 0, sendTimeout: 0 })],
  xpub: [Zmq.xpub, () => new zmq.XSubscriber({ linger: 0 })],
  xsub: [Zmq.xsub, () => new zmq.XPublisher({ linger: 0 })],
  rawStream: [Zmq.rawStream, () => new zmq.Stream({ linger: 0 })]
} as const

/** The same endpoint, again and again, with peers that connect to it all the while. */
export const endpoints = async (size: Size): Promise<Outcome> => {
  const random = randomOf()
  const faults: Array<string> = []
  let binds = 0
  let failed = 0
  let others = 0
  const times = 10
  const program = Effect.gen(function* () {
    const endpoint = yield* freePort(random)
    const file = ipc()
    const types = Object.keys(opens) as Array<keyof typeof opens>
    while (binds < size.count) {
      const type = types[random(types.length)]!
      const transports = type === "rawStream" ? [endpoint] : [endpoint, file, "inproc://endpoints"]
      const at = transports[random(transports.length)]!
      const [open, peer] = opens[type]
      yield* Effect.scoped(
        Effect.gen(function* () {
          const peers = Array.from({ length: random(4) }, () => peer())
          yield* Effect.addFinalizer(() =>
            Effect.sync(() => {
              for (const one of peers) one.close()
            })
          )
          for (const one of peers) one.connect(at)
          for (let time = 0; time < times; time++) {
            binds++
            const end = yield* Effect.exit(
              Effect.scoped(
                Effect.gen(function* () {
                  const socket = yield* (
                    open as (options: Zmq.PullOptions) => Effect.Effect<Zmq.Socket, Zmq.SocketError, Scope.Scope>
                  )({ bind: at, linger: "60 seconds" })
                  if (random(2) === 0 && peers.length > 0 && !at.startsWith("inproc"))
                    yield* Effect.timeoutOption(socket.awaitPeers(1), 500)
                  yield* someMoment(random)
                })
              )
            )
            if (Exit.isFailure(end)) {
              failed++
              if (faults.length < 5) faults.push(`${type} at ${at}: ${end.cause}`)
            }
          }
          // And somebody else.
          others++
          const other = peer()
          try {
            other.bindSync(at)
          } catch (error) {
            faults.push(`${type} at ${at}: somebody else cannot bind: ${error}`)
          }
          other.close()
          // zeromq.js does not say when it has given up what it bound.
          yield* untilFree(at)
        })
      )
      progress(() => `${binds} binds`)
    }
  })
  await Effect.runPromise(settle(program))
  return {
    sent: binds,
    delivered: binds - failed,
    lost: failed,
    duplicated: 0,
    redelivered: 0,
    receivable: 0,
    outOfOrder: null,
    faults,
    notes: [
      `${binds} times bound, ${times} of them in a row at one endpoint, and ${others} times by another socket after that`,
      `seed ${seed}`
    ]
  }
}

/** A port that no connection of another process gets for its own side, as those of `tcp://127.0.0.1:*` may. */
const freePort = (random: (below: number) => number): Effect.Effect<string, Zmq.SocketError> => {
  const bound = Effect.suspend(() => Zmq.pull({ bind: `tcp://127.0.0.1:${20_000 + random(10_000)}` }))
  return Effect.scoped(Effect.map(Effect.retry(bound, { times: 100 }), (pull) => pull.endpoints[0]!))
}

const untilFree = (endpoint: string): Effect.Effect<void> => {
  if (endpoint.startsWith("tcp")) return untilPortIsFree(Number(endpoint.split(":").pop()))
  if (endpoint.startsWith("ipc")) return untilNobodyListens(endpoint.slice("ipc://".length))
  return Effect.gen(function* () {
    while (true) {
      const socket = new zmq.Pull({ linger: 0 })
      try {
        socket.bindSync(endpoint)
        // Undone while it is open, it is free at once.
        socket.disconnect(endpoint)
        return
      } catch {
        yield* Effect.sleep(5)
      } finally {
        socket.close()
      }
    }
  })
}

/** Without libzmq, whose thread would give the path up some time later: it takes one over from whoever listens, and we do not. */
const untilNobodyListens = (path: string): Effect.Effect<void> =>
  Effect.callback<boolean>((resume) => {
    const socket = connect(path)
    socket.on("connect", () => {
      socket.destroy()
      resume(Effect.succeed(false))
    })
    socket.on("error", ({ code }: NodeJS.ErrnoException) =>
      resume(Effect.succeed(code === "ENOENT" || code === "ECONNREFUSED"))
    )
  }).pipe(Effect.delay(5), Effect.repeat({ until: (free) => free }), Effect.asVoid)

/** Without libzmq, whose thread would give the port up some time later. */
const untilPortIsFree = (port: number): Effect.Effect<void> =>
  Effect.callback<boolean>((resume) => {
    const server = createServer()
    server.on("error", () => resume(Effect.succeed(false)))
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resume(Effect.succeed(true))))
  }).pipe(Effect.delay(5), Effect.repeat({ until: (free) => free }), Effect.asVoid)
