/** RPC while servers are killed, stopped and started again, connections are cut, and clients die. */
import { Effect } from "effect"
import { randomOf, seed } from "../moments.ts"
import { nodePeer, type Peer, startPeer } from "../processes.ts"
import { relayTo } from "../relay.ts"
import type { Outcome, Size, Workload } from "../row.ts"
import { ipc } from "../wait.ts"
import { outcomeOf, progress } from "../watch.ts"
import { flatness } from "./p-flat.ts"
import { hostility } from "./p-hostile.ts"

const clients = 10

// For each client and blow: most meet a server that is there, however long the next takes to start.
const callsEach = 100

const start = (script: string, ...args: ReadonlyArray<string>): Peer =>
  startPeer(process.execPath, nodePeer(script, ...args))

const isOver = ({ child }: Peer): boolean => child.exitCode !== null || child.signalCode !== null

const storm =
  (how: "servers" | "broker") =>
  async (size: Size): Promise<Outcome> => {
    const random = randomOf()
    const faults: Array<string> = []
    const frontend = ipc()
    const backend = ipc()
    const own = [ipc(), ipc()]
    const everyServer: Array<Peer> = []
    const blows: Record<string, number> = {}
    const program = Effect.gen(function* () {
      const all: Array<Peer> = []
      const run = (script: string, ...args: ReadonlyArray<string>): Peer => {
        const peer = start(script, ...args)
        all.push(peer)
        return peer
      }
      yield* Effect.addFinalizer(() => Effect.promise(() => Promise.all(all.map((peer) => peer.kill()))))
      const startServer = (at: number): Peer => {
        const args = how === "broker" ? ["connect", backend] : ["bind", own[at]!]
        const peer = run("rpcServer.ts", ...args)
        everyServer.push(peer)
        return peer
      }
      let broker = how === "broker" ? run("rpcBroker.ts", frontend, backend) : undefined
      const servers = own.map((_, at) => startServer(at))
      const started = (peer: Peer) =>
        Effect.gen(function* () {
          while (!peer.lines.some((line) => line.startsWith("started")) && !isOver(peer)) yield* Effect.sleep(5)
        })
      for (const peer of [...servers, ...(broker === undefined ? [] : [broker])]) yield* started(peer)
      const cables = yield* Effect.all(
        (how === "broker" ? [frontend] : own).map((endpoint) => relayTo({ path: endpoint.slice("ipc://".length) }))
      )

      // Half of the clients are on cables.
      const direct = how === "broker" ? [frontend] : own
      const cabled = cables.map(({ port }) => `tcp://127.0.0.1:${port}`)
      const each = Math.ceil(size.count / clients)
      const callers = Array.from({ length: clients }, (_, at) =>
        run("rpcClient.ts", `c${at}`, String(each), ...(at % 2 === 0 ? direct : cabled))
      )
      // These die as well, and their calls are not counted.
      const startVictim = (number: number): Peer => {
        const peer = run("rpcClient.ts", `v${number}`, "1000000", ...direct)
        peer.child.stdin!.write("100000\n")
        return peer
      }
      let victim = startVictim(0)
      for (const caller of callers) {
        while (caller.lines.length === 0 && !isOver(caller)) yield* Effect.sleep(5)
      }

      const blow = (name: string): void => {
        blows[name] = (blows[name] ?? 0) + 1
      }
      const isDone = (peer: Peer): boolean => peer.lines.at(-1) === "done" || isOver(peer)
      let victims = 0
      let asked = 0
      while (!callers.every(isDone)) {
        // What was asked before has ended, unless something hangs: that is for the books.
        for (let waited = 0; waited < 6000 && !callers.every(({ lines }) => lines.length > asked); waited++) {
          yield* Effect.sleep(10)
        }
        const more = Math.min(callsEach, each - asked)
        if (more === 0 && !callers.every(isDone)) {
          yield* Effect.sleep(100)
          continue
        }
        asked += more
        for (const caller of callers) caller.child.stdin!.write(`${more}\n`)
        yield* Effect.sleep(random(300))
        const at = random(2)
        const server = servers[at]!
        switch (random(7)) {
          case 0:
          case 1: {
            blow("servers killed")
            yield* Effect.promise(() => server.kill())
            servers[at] = startServer(at)
            yield* started(servers[at]!)
            break
          }
          case 2: {
            blow("servers told to end")
            server.child.kill("SIGTERM")
            yield* Effect.promise(() => server.ended)
            servers[at] = startServer(at)
            yield* started(servers[at]!)
            break
          }
          case 3: {
            blow("servers stopped")
            server.child.kill("SIGSTOP")
            yield* Effect.sleep(500 + random(3500))
            server.child.kill("SIGCONT")
            break
          }
          case 4: {
            blow("connections cut")
            cables[random(cables.length)]!.cut()
            break
          }
          case 5: {
            blow("networks cut")
            const cut = cables[random(cables.length)]!
            cut.pull()
            // Some are whole again before anybody has noticed.
            yield* Effect.forkScoped(Effect.andThen(Effect.sleep(random(5000)), Effect.sync(cut.mend)))
            break
          }
          case 6: {
            if (random(2) === 0 || broker === undefined) {
              blow("clients killed")
              yield* Effect.promise(() => victim.kill())
              victim = startVictim(++victims)
            } else {
              blow("brokers killed")
              yield* Effect.promise(() => broker!.kill())
              broker = run("rpcBroker.ts", frontend, backend)
              yield* started(broker)
            }
          }
        }
        const ends = callers.reduce((sum, { lines }) => sum + lines.length, 0)
        progress(() => `${ends} of ${each * clients} calls`)
      }

      // The books.
      const books = { sent: each * clients, delivered: 0, lost: 0, duplicated: 0 }
      const kinds: Record<string, number> = {}
      const failed = new Map<string, number>()
      for (const [at, caller] of callers.entries()) {
        const ended = new Set<string>()
        for (const line of caller.lines) {
          const [what, id = "", kind = "", time = ""] = line.split(" ")
          if (what !== "end") continue
          if (ended.has(id)) books.duplicated++
          ended.add(id)
          const [sort = ""] = kind.split(":")
          kinds[sort] = (kinds[sort] ?? 0) + 1
          if (sort === "wrong") faults.push(`${id}: ${kind}`)
          if (sort === "transport" || sort === "interrupted") failed.set(id, Number(time))
        }
        books.delivered += ended.size
        books.lost += each - ended.size
        if (ended.size < each)
          faults.push(`client ${at} ended after ${ended.size} of ${each}: ${caller.stderr().slice(0, 300)}`)
      }
      // A server that was started behind the end of a call must not execute it.
      const executions = new Map<string, number>()
      for (const server of everyServer) {
        const began = Number(server.lines[0]?.split(" ")[1] ?? Number.POSITIVE_INFINITY)
        for (const line of server.lines) {
          const [what, id = ""] = line.split(" ")
          if (what !== "run" || id.startsWith("v")) continue
          executions.set(id, (executions.get(id) ?? 0) + 1)
          const end = failed.get(id)
          if (end !== undefined && began > end) faults.push(`${id} was executed by a server that came after its end`)
        }
      }
      const twice = [...executions].filter(([, times]) => times > 1)
      if (twice.length > 0) faults.push(`${twice.length} calls were executed twice, as ${twice[0]![0]}`)
      const told = Object.entries(kinds).filter(([kind]) => kind !== "wrong")
      return {
        ...books,
        notes: [
          told.map(([kind, count]) => `${count} ${kind}`).join(", "),
          Object.entries(blows)
            .map(([name, count]) => `${count} ${name}`)
            .join(", "),
          `seed ${seed}`
        ]
      }
    })
    return outcomeOf(program, faults)
  }

const row = (how: "servers" | "broker", variant: string) =>
  ({
    library: "effect-zmq",
    variant,
    quick: 4000,
    full: 100_000,
    limit: { quick: 300, full: 1800 },
    run: storm(how)
  }) as const

export const workload: Workload = {
  id: "p",
  title: "RPC: servers that are killed, stopped and started again, networks that are cut, clients that die",
  counting:
    "Delivered is a call that has ended, by its value, its error, or an error of the transport: each exactly once.",
  alone: "There is no other RPC of Effect over ZeroMQ.",
  rows: [
    row("servers", "two servers"),
    row("broker", "two servers behind a broker"),
    {
      library: "effect-zmq",
      variant: "clients that send what they should not",
      quick: 1000,
      full: 10_000,
      limit: { quick: 180, full: 1200 },
      run: hostility
    },
    {
      library: "effect-zmq",
      variant: "one client, whose server goes and comes back",
      quick: 10_000,
      full: 100_000,
      limit: { quick: 180, full: 1200 },
      run: flatness
    }
  ]
}
