/**
 * What peers that mean no good cost a socket of this engine, and what idle ones do: by hand, on a machine that does
 * nothing else. Each attack comes from a process of its own.
 *
 *     node --expose-gc --import tsx bench/zmtp/hostile.ts [attack] [seconds]
 */
import { fork } from "node:child_process"
import { openSync, readSync } from "node:fs"
import { connect, type Socket } from "node:net"
import { type PerformanceEntry, PerformanceObserver, performance } from "node:perf_hooks"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { Effect } from "effect"
import { Curve, Engine, Zap, Zmq } from "effect-zmq"
import { command, frame, greeting, longFrame, message, property } from "../../proof/conformance/wire.ts"

const attacks: Record<string, { readonly type: "pull" | "pub" | "sub" | "curve"; readonly count: number }> = {
  idle: { type: "pull", count: 1000 },
  silent: { type: "pull", count: 10_000 },
  garbage: { type: "pull", count: 1 },
  hellos: { type: "curve", count: 20 },
  pings: { type: "pull", count: 10 },
  subscriptions: { type: "pub", count: 1 },
  multipart: { type: "pull", count: 10 },
  small: { type: "pull", count: 1 },
  crowd: { type: "pull", count: 300 },
  medium: { type: "pull", count: 1 },
  unwanted: { type: "sub", count: 10 },
  large: { type: "pull", count: 1 },
  announced: { type: "pull", count: 1000 }
}

const [name = "", seconds = "5", endpoint] = process.argv.slice(2)

const ready = (type: string): Buffer => Buffer.concat([greeting(), command("READY", property("Socket-Type", type))])

/** What one peer says first, and then again and again. */
const sayings: Record<string, readonly [first: Buffer, again: Buffer]> = {
  idle: [ready("PUSH"), Buffer.alloc(0)],
  silent: [Buffer.alloc(0), Buffer.alloc(0)],
  garbage: [Buffer.from("GET / HTTP/1.1\r\n\r\n"), Buffer.alloc(0)],
  hellos: [
    greeting({ mechanism: "CURVE" }),
    command("HELLO", "\x01\0", Buffer.alloc(72), Buffer.alloc(32, 9), Buffer.alloc(8, 1), Buffer.alloc(80, 7))
  ],
  pings: [ready("PUSH"), Buffer.alloc(25 * 2000, command("PING", "\0\0sixteen octets.."))],
  subscriptions: [ready("SUB"), Buffer.alloc(0)],
  multipart: [ready("PUSH"), Buffer.alloc(64 * 1024, frame(1))],
  small: [ready("PUSH"), Buffer.alloc(64 * 1024, message(""))],
  crowd: [ready("PUSH"), Buffer.alloc(64 * 1024, message("x".repeat(30)))],
  medium: [ready("PUSH"), Buffer.alloc(64 * 4096, longFrame(0, Buffer.alloc(4087)))],
  unwanted: [ready("PUB"), Buffer.alloc(64 * 1024, message("x".repeat(80)))],
  large: [ready("PUSH"), longFrame(0, Buffer.alloc(16 * 1024 * 1024))],
  announced: [Buffer.concat([ready("PUSH"), longFrame(0, Buffer.alloc(0)).fill(0x7f, 6)]), Buffer.alloc(0)]
}

/** The process of the peers. Whoever is cut off comes again, but where that is not what is tried. */
const attack = (): void => {
  const { hostname, port } = new URL(endpoint!.replace(/^tcp:/, "http:"))
  const [first, again] = sayings[name]!
  const comesAgain = !["idle", "silent", "announced"].includes(name)
  let number = 0
  let gone = 0
  const come = (): void => {
    const socket: Socket = connect(Number(port), hostname)
    let at = 0
    const say = (error?: Error | null): void => {
      if (error) return
      let bytes = again
      if (name === "subscriptions") {
        const parts: Array<Buffer> = []
        for (let i = 0; i < 500; i++) parts.push(command("SUBSCRIBE", `${number++} ${"x".repeat(100)} ${at++}`))
        bytes = Buffer.concat(parts)
      }
      if (bytes.length > 0) socket.write(bytes, say)
    }
    socket.on("error", () => {})
    socket.on("close", () => {
      if (comesAgain) setImmediate(come)
      else if (++gone === attacks[name]!.count) process.send?.("gone")
    })
    socket.resume()
    socket.write(first, say)
  }
  let left = attacks[name]!.count
  const some = (): void => {
    for (let i = 0; i < 50 && left > 0; i++, left--) come()
    if (left > 0) setTimeout(some, 5)
    else process.send?.("all")
  }
  some()
}

/**
 * Milliseconds that this thread has worked, on Linux: those of the process have the threads of V8 in them, which mark
 * and compile.
 */
const worked = (() => {
  const bytes = Buffer.alloc(64)
  const file = openSync("/proc/self/schedstat", "r")
  return (): number => Number.parseInt(bytes.toString("latin1", 0, readSync(file, bytes, 0, 64, 0)), 10) / 1e6
})()

interface LongTurn {
  readonly start: number
  readonly end: number
  readonly millis: number
}

/** The longest turns, in milliseconds of CPU time; and the longest in which no garbage was collected. */
class Turns {
  longest = 0
  over = 0
  count = 0
  private readonly long: Array<LongTurn> = []
  private readonly collections: Array<PerformanceEntry> = []
  private readonly observer = new PerformanceObserver((list) => this.collections.push(...list.getEntries()))
  private last = worked()
  private since = performance.now()
  private isOver = false

  constructor() {
    this.observer.observe({ entryTypes: ["gc"] })
  }

  readonly turn = (): void => {
    if (this.isOver) return
    const now = performance.now()
    const used = worked()
    // The clock of the processor ticks, and may have those of the turn before.
    const millis = Math.min(used - this.last, now - this.since)
    this.last = used
    this.count++
    if (millis > this.longest) this.longest = millis
    if (millis > 10) this.over++
    if (millis > 2) this.long.push({ start: this.since, end: now, millis })
    this.since = now
    setImmediate(this.turn)
  }

  stop(): void {
    this.isOver = true
    this.observer.disconnect()
  }

  /** Those of them that are ours. */
  get ours(): { readonly longest: number; readonly over: number } {
    const free = this.long.filter(
      ({ end, start }) =>
        !this.collections.some(({ duration, startTime }) => startTime < end && startTime + duration > start)
    )
    return {
      longest: Math.max(0, ...free.map(({ millis }) => millis)),
      over: free.filter(({ millis }) => millis > 10).length
    }
  }
}

const used = async (): Promise<number> => {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.()
    await sleep(50)
  }
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

const mebi = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`

const suffer = (name: string) =>
  Effect.gen(function* () {
    const { count, type } = attacks[name]!
    const keys = yield* Curve.generate
    const options = { bind: "tcp://127.0.0.1:*", backlog: 4096, linger: 0 } as const
    const socket =
      type === "pub"
        ? yield* Zmq.pub(options)
        : type === "sub"
          ? yield* Zmq.sub({ ...options, subscribe: "honest" })
          : yield* Zmq.pull(
              type === "pull" ? options : { ...options, security: Curve.server({ keys, domain: "bench" }) }
            )
    const at = socket.endpoints[0]!
    const good =
      socket.type === "pub"
        ? yield* Zmq.sub({ connect: at, subscribe: "honest" })
        : socket.type === "sub"
          ? yield* Zmq.pub({ connect: at, linger: 0 })
          : yield* Zmq.push({
              connect: at,
              linger: 0,
              ...(type === "curve"
                ? { security: Curve.client({ keys: yield* Curve.generate, serverKey: keys.publicKey }) }
                : {})
            })
    yield* good.awaitConnected
    const before = yield* Effect.promise(used)
    const residentBefore = process.memoryUsage().rss
    const child = fork(fileURLToPath(import.meta.url), [name, seconds, at], { execArgv: ["--import", "tsx"] })
    const told = (what: string) =>
      new Promise<void>((resolve) => child.on("message", (message) => message === what && resolve()))
    const gone = told("gone")
    yield* Effect.promise(() => told("all"))
    const came = performance.now()
    // Who is there at first is not what is measured.
    yield* Effect.promise(() => sleep(2000))
    const turns = new Turns()
    // What is idle must not be kept busy by looking at it.
    if (name !== "idle" && name !== "silent" && name !== "announced") turns.turn()
    const cpu = process.cpuUsage()
    const start = performance.now()
    let most = 0
    let honest = 0
    let slowest = 0
    if (socket.type !== "pub")
      yield* Effect.forkScoped(
        socket.runForEach(([frame]) => Effect.sync(() => frame.toString("latin1", 0, 6) === "honest" && honest++))
      )
    while (performance.now() - start < Number(seconds) * 1000) {
      const since = performance.now()
      if (good.type !== "sub") {
        const told = honest
        yield* good.send("honest")
        while (honest === told) yield* Effect.promise(() => sleep(1))
      } else if (socket.type === "pub") {
        yield* socket.send("honest")
        yield* good.recv
      }
      slowest = Math.max(slowest, performance.now() - since)
      most = Math.max(most, process.memoryUsage().rss)
      yield* Effect.promise(() => sleep(name === "idle" ? 2500 : 50))
    }
    const { system, user } = process.cpuUsage(cpu)
    const share = (100 * (system + user)) / 1000 / (performance.now() - start)
    turns.stop()
    const { peers } = yield* socket.status
    const after = yield* Effect.promise(used)
    if (name === "silent") {
      yield* Effect.promise(() => gone)
      const left = mebi((yield* Effect.promise(used)) - before)
      console.log(
        `silent: the last was cut off ${((performance.now() - came) / 1000).toFixed(0)} s after it came; ${left} left`
      )
    }
    child.kill()
    console.log(
      `${name}: ${peers} peers, ${share.toFixed(2)} % of a core, resident ${mebi(residentBefore)}, at most ${mebi(most)}; ` +
        `kept ${((after - before) / 1024 / count).toFixed(1)} KiB for each of ${count}; ` +
        (turns.count > 0
          ? `longest of ${turns.count} turns ${turns.longest.toFixed(1)} ms of CPU time, ${turns.over} over 10 ms; ` +
            `without collections ${turns.ours.longest.toFixed(1)} ms, ${turns.ours.over} over 10 ms; `
          : "") +
        `an honest message took ${slowest.toFixed(0)} ms at most`
    )
  }).pipe(Effect.scoped, Effect.provide(Zap.layer({ curve: Zap.anybody })), Effect.provide(Engine.layerZmtp))

if (endpoint !== undefined) attack()
else {
  for (const one of Object.keys(attacks))
    if (name === "" || name === one) await Effect.runPromise(suffer(one) as Effect.Effect<void>)
  process.exit()
}
