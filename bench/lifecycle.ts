/** Opening, closing, and what a socket costs while nothing happens or little does. */
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { Effect, Fiber, type Scope, Stream } from "effect"
import { Zmq } from "effect-zmq"
import * as zmq from "zeromq"
import { address, count, Kept, latenciesOf, perMessage, quick, type Sample, type Workload } from "./harness.ts"
import { Peer } from "./peer.ts"

const opening = (transport: "inproc" | "tcp"): Workload => {
  const sockets = count(transport === "tcp" ? 160 : 600)
  return {
    name: `open and close a bound socket over ${transport}`,
    unit: "µs/socket",
    contenders: {
      "new Pull()": () =>
        perMessage(sockets, async () => {
          for (let opened = 0; opened < sockets; opened++) {
            const socket = new zmq.Pull({ linger: 0 })
            socket.bindSync(address(transport))
            socket.close()
          }
        }),
      "Zmq.pull": () =>
        perMessage(sockets, () =>
          Effect.runPromise(
            Effect.gen(function* () {
              for (let opened = 0; opened < sockets; opened++) {
                yield* Effect.scoped(Zmq.pull({ bind: address(transport) }))
              }
            })
          )
        )
    }
  }
}

const run = promisify(execFile)
const idle = (by: string) => async (): Promise<Sample> => {
  const program = fileURLToPath(new URL("idle.ts", import.meta.url))
  const { stdout } = await run(process.execPath, [...process.execArgv, program, by, "1000", quick ? "300" : "1000"])
  const { memory, cpu } = JSON.parse(stdout) as { readonly memory: number; readonly cpu: number }
  return { "KiB each": memory, "% of a core": cpu }
}

/** The share of a core that is used until `done`. */
const cpuWhile = async (run: () => Promise<unknown>): Promise<Sample> => {
  const usage = process.cpuUsage()
  const start = performance.now()
  await run()
  const { user, system } = process.cpuUsage(usage)
  return { "% of a core": (user + system) / 10 / (performance.now() - start) }
}

const blocked = (): Workload => {
  const millis = quick ? 300 : 1000
  const sleep = () => new Promise((resolve) => setTimeout(resolve, millis))
  return {
    name: "a sender that waits for room",
    unit: "%",
    once: true,
    contenders: {
      "await send()": async () => {
        const socket = new zmq.Push({ linger: 0 })
        socket.bindSync(address())
        const sending = socket.send("never").catch(() => {})
        const sample = await cpuWhile(sleep)
        socket.close()
        await sending
        return sample
      },
      send: () =>
        Effect.gen(function* () {
          const socket = yield* Zmq.push({ bind: address() })
          const fiber = yield* Effect.forkChild(socket.send("never"), { startImmediately: true })
          const sample = yield* Effect.promise(() => cpuWhile(sleep))
          yield* Fiber.interrupt(fiber)
          return sample
        }).pipe(Effect.scoped, Effect.runPromise)
    }
  }
}

// -----------------------------------------------------------------------------
// one message per millisecond
// -----------------------------------------------------------------------------

const latencyOf = ([frame]: ReadonlyArray<Buffer>): number =>
  Number(process.hrtime.bigint() - frame!.readBigUInt64LE()) / 1000

const lowRate = (): Workload => {
  const ticks = count(100)
  const kept = new Kept()
  const thePeer = kept.keep(Peer.make)
  const contender = <Socket>(
    open: Effect.Effect<Socket, unknown, Scope.Scope>,
    endpointOf: (socket: Socket) => string,
    receive: (socket: Socket, latencies: Array<number>, ticks: number) => Promise<unknown>
  ) => {
    const run = async (socket: Socket, ticks: number, millis: number) => {
      const latencies: Array<number> = []
      const tick = (await thePeer()).do({ what: "tick", endpoint: endpointOf(socket), messages: ticks, millis })
      await Promise.all([tick, receive(socket, latencies, ticks)])
      return latenciesOf("ticks", latencies, ticks)
    }
    // At one message a millisecond V8 would take minutes to compile what runs.
    const theSocket = kept.keep(Effect.tap(open, (socket) => Effect.promise(() => run(socket, count(20_000), 0))))
    return async () => run(await theSocket(), ticks, 1)
  }
  const rawSocket = Effect.sync(() => {
    const socket = new zmq.Pull({ linger: 0 })
    socket.bindSync(address("tcp"))
    return socket
  })
  const raw = (receive: (socket: zmq.Pull, latencies: Array<number>, ticks: number) => Promise<void>) =>
    contender(
      Effect.acquireRelease(rawSocket, (socket) => Effect.sync(() => socket.close())),
      (socket) => socket.lastEndpoint!,
      receive
    )
  const ours = (
    receive: (socket: Zmq.Pull, latencies: Array<number>, ticks: number) => Effect.Effect<unknown, unknown>
  ) =>
    contender(
      Zmq.pull({ bind: address("tcp") }),
      (socket) => socket.endpoints[0]!,
      (socket, latencies, ticks) => Effect.runPromise(receive(socket, latencies, ticks))
    )
  const handled = (messages: Stream.Stream<ReadonlyArray<Buffer>, unknown>, latencies: Array<number>, ticks: number) =>
    messages.pipe(
      Stream.take(ticks),
      Stream.runForEach((message) => Effect.sync(() => latencies.push(latencyOf(message))))
    )
  return {
    name: "latency at one message per millisecond over tcp",
    unit: "µs",
    once: true,
    short: true,
    contenders: {
      "for await": raw(async (socket, latencies, ticks) => {
        for await (const message of socket) {
          latencies.push(latencyOf(message))
          if (latencies.length === ticks) break
        }
      }),
      wrapper: raw((socket, latencies, ticks) => {
        const receive = Effect.tryPromise(() => socket.receive())
        return Effect.runPromise(
          Effect.gen(function* () {
            while (latencies.length < ticks) latencies.push(latencyOf(yield* receive))
          })
        )
      }),
      recv: ours((socket, latencies, ticks) =>
        Effect.gen(function* () {
          while (latencies.length < ticks) latencies.push(latencyOf(yield* socket.recv))
        })
      ),
      "wrapper, stream": raw((socket, latencies, ticks) => {
        const messages = Stream.fromEffectRepeat(Effect.tryPromise(() => socket.receive()))
        return Effect.runPromise(handled(messages, latencies, ticks))
      }),
      messages: ours((socket, latencies, ticks) => handled(socket.messages, latencies, ticks))
    },
    close: kept.close
  }
}

export const lifecycle = (): Array<Workload> => [
  opening("inproc"),
  opening("tcp"),
  {
    name: "1,000 idle receivers",
    unit: "",
    once: true,
    cold: true,
    contenders: { "zeromq.js": idle("zeromq.js"), "effect-zmq": idle("effect-zmq") }
  },
  blocked(),
  lowRate()
]
