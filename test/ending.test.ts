/** What was sent is on its way when a program has ended, however it ends. */

import { spawn } from "node:child_process"
import { type AddressInfo, createServer, type Socket } from "node:net"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, type Scope } from "effect"
import { Draft, Zmq } from "effect-zmq"
import { byEngine } from "./support/byEngine.ts"
import { nodeArguments } from "./support/child.ts"
import { bytes, frames, peer } from "./support/endings.ts"
import { boundTo, freshEndpoint, pause, untilDefined } from "./support/sockets.ts"

const slow = {
  linger: 0,
  receiveHighWaterMark: 1,
  ...byEngine({ zeromq: { receiveBufferSize: 65_536 }, zmtp: {} })
} as const

/** Receives slowly what a sender of this type sends, and tells how many bytes that are. */
type Reader = (
  bind: string
) => Effect.Effect<{ readonly endpoint: string; readonly next: Effect.Effect<number, unknown> }, unknown, Scope.Scope>

const reader =
  <S extends Zmq.Socket & { readonly recv: Effect.Effect<Zmq.Message, unknown> }>(
    open: (options: object) => Effect.Effect<S, unknown, Scope.Scope>,
    size: (message: Zmq.Message) => number = (message) => message.at(-1)!.length
  ): Reader =>
  (bind) =>
    Effect.map(open({ bind, ...slow }), (socket) => ({
      endpoint: boundTo(socket),
      next: Effect.map(socket.recv, size)
    }))

const readers: Record<string, Reader> = {
  push: reader(Zmq.pull),
  pub: reader((options) => Zmq.sub({ ...options, subscribe: [""] })),
  xpub: reader((options) => Zmq.sub({ ...options, subscribe: [""] })),
  dealer: reader(Zmq.router),
  pair: reader(Zmq.pair),
  // The first is to find out whether the peer is there.
  router: reader(
    (options) => Zmq.dealer({ ...options, routingId: peer }),
    (message) => (message[0].length < bytes ? 0 : message[0].length)
  ),
  req: reader(Zmq.rep),
  rep: (bind) =>
    Effect.gen(function* () {
      const req = yield* Zmq.req({ bind, ...slow })
      const asked = yield* Effect.forkScoped(req.send("all of it"))
      return {
        endpoint: boundTo(req),
        next: Effect.andThen(
          Fiber.join(asked),
          Effect.map(req.recv, ([all]) => all.length)
        )
      }
    }),
  rawStream: (bind) =>
    Effect.gen(function* () {
      const sockets = new Set<Socket>()
      const server = createServer((socket) => void sockets.add(socket.pause()))
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          server.close()
          for (const socket of sockets) socket.destroy()
        })
      )
      const path = /^ipc:\/\/(.*)$/.exec(bind)?.[1]
      yield* Effect.callback<void>((resume) => {
        server.listen(path ?? { host: "127.0.0.1", port: 0 }, () => resume(Effect.void))
      })
      const address = server.address() as AddressInfo
      return {
        endpoint: path === undefined ? `tcp://127.0.0.1:${address.port}` : bind,
        next: untilDefined(
          Effect.sync(() => {
            for (const socket of sockets) {
              const data: Buffer | null = socket.read()
              if (data !== null) return data.length
            }
            return undefined
          })
        )
      }
    }),
  // Drafts are of libzmq.
  ...byEngine<Record<string, Reader>>({
    zeromq: {
      client: (bind) =>
        Effect.map(Draft.server({ bind, ...slow }), (socket) => ({
          endpoint: boundTo(socket),
          next: Effect.map(socket.recv, ({ data }) => data.length)
        })),
      scatter: reader(Draft.gather)
    },
    zmtp: {}
  })
}

describe("all that sockets of every type have sent arrives, when a program ends", () => {
  for (const transport of ["tcp", "ipc"] as const) {
    for (const how of ["success", "signal", "failure"] as const) {
      it.live(`by ${how}, over ${transport}`, () =>
        Effect.gen(function* () {
          const args: Array<string> = []
          const received: Record<string, number> = {}
          const reading: Array<Fiber.Fiber<void, unknown>> = []
          const gone = yield* Deferred.make<void>()
          for (const [type, open] of Object.entries(readers)) {
            const { endpoint, next } = yield* open(freshEndpoint(transport))
            args.push(type, endpoint)
            received[type] = 0
            // Slower than it is sent.
            const all = Effect.gen(function* () {
              for (let paused = 0; received[type]! < frames * bytes; ) {
                received[type]! += yield* next
                for (; paused < received[type]!; paused += bytes) yield* pause(5)
              }
            })
            // When the program has ended and nothing comes any more, the rest never will.
            const lost = Effect.gen(function* () {
              yield* Deferred.await(gone)
              for (let seen = -1; seen !== received[type]!; yield* pause(3000)) seen = received[type]!
            })
            reading.push(yield* Effect.forkScoped(Effect.raceFirst(all, lost)))
          }
          const child = spawn(process.execPath, [...nodeArguments("ending.ts"), how, ...args], {
            stdio: ["ignore", "pipe", "inherit"]
          })
          yield* Effect.addFinalizer(() => Effect.sync(() => void child.kill("SIGKILL")))
          child.once("exit", () => Deferred.doneUnsafe(gone, Effect.void))
          child.stdout.on("data", (said) => {
            if (how === "signal" && String(said).includes("sent")) child.kill("SIGTERM")
          })
          for (const fiber of reading) yield* Fiber.join(fiber)
          expect(received).toEqual(Object.fromEntries(Object.keys(readers).map((type) => [type, frames * bytes])))
        })
      )
    }
  }
})
