/** Runners that have no key of the cluster, beside those that have. */
import { Effect, Redacted } from "effect"
import { Curve } from "effect-zmq"
import { isOver, startCluster, until } from "../cluster/cluster.ts"
import { schema } from "../cluster/schema.ts"
import type { SecurityConfig } from "../peers/cluster/peer.ts"
import type { Peer } from "../processes.ts"
import type { Outcome, Size } from "../row.ts"
import { outcomeOf, progress } from "../watch.ts"

const shards = 32

/** What one has to say whom nobody lets in. */
const refused = /did not accept each other/

export const strangers = async (size: Size): Promise<Outcome> => {
  const faults: Array<string> = []
  const program = Effect.gen(function* () {
    const cluster = yield* startCluster({
      transport: "zmq",
      locks: "advisory",
      expiry: 3,
      shards,
      schema,
      runner: "runner.ts"
    })
    const [one, two, client, foreign] = yield* Effect.all([
      Curve.generate,
      Curve.generate,
      Curve.generate,
      Curve.generate
    ])
    const address = (number: number) =>
      Effect.map(cluster.place(number), ({ address: { host, port } }) => `${host}:${port}`)
    const runners = { [yield* address(1)]: one.publicKey, [yield* address(2)]: two.publicKey }
    const trusted = [one.publicKey, two.publicKey, client.publicKey]
    const securityOf = ({ publicKey, secretKey }: Curve.KeyPair): SecurityConfig => ({
      publicKey,
      secretKey: Redacted.value(secretKey),
      runners,
      trusted
    })
    yield* Effect.all(
      [cluster.start(1, { security: securityOf(one) }), cluster.start(2, { security: securityOf(two) })],
      {
        concurrency: "unbounded"
      }
    )
    yield* cluster.whole
    const calling = yield* cluster.startClient(0, "client.ts", { security: securityOf(client) }, "60")
    const ended = (prefix: string) => calling.lines.filter((line) => line.startsWith(`end ${prefix}`)).length
    calling.child.stdin!.write(`go ${size.count}\n`)
    yield* until("all calls with keys", () => ended("p") >= size.count && ended("v") >= size.count)

    progress(() => "strangers")
    const caller = yield* cluster.startClient(5, "client.ts", {}, "60")
    const asks = yield* cluster.startClient(6, "client.ts", { security: securityOf(foreign) }, "60")
    const reasons: Array<string> = []
    const says = (who: string, peer: Peer, why: RegExp) =>
      Effect.gen(function* () {
        const line = () =>
          peer
            .stderr()
            .split("\n")
            .find((line) => why.test(line))
        yield* until(`${who} says why`, () => line() !== undefined)
        reasons.push(`${who}: ${/message="(effect-zmq: .*?)"( |$)/.exec(line()!)?.[1]}`)
      })
    yield* says("a client without a key", caller, refused)
    yield* says("a client with a key that nobody trusts", asks, refused)
    const before = ended("v")
    // It speaks no CURVE at all, and the other has a key that nobody trusts.
    const own = { ...securityOf(foreign), runners: { ...runners, [yield* address(4)]: foreign.publicKey } }
    const strange = yield* Effect.all([cluster.start(3), cluster.start(4, { security: own })], {
      concurrency: "unbounded"
    })
    yield* says("who calls a runner without a key", calling, /has no public key of/)
    // So long that calls have been made, and their shards been where nobody reaches them.
    yield* Effect.sleep(5000)
    const meanwhile = ended("v") - before
    for (const peer of [caller, asks]) yield* Effect.promise(() => peer.kill())
    for (const { peer } of strange) yield* Effect.promise(() => peer.kill())
    yield* cluster.whole
    calling.child.stdin!.write("stop\n")
    yield* until("the end of all calls", () => isOver(calling))

    const last = calling.lines.at(-1)?.split(" ") ?? []
    if (last[0] !== "done") faults.push(`the client ended early: ${calling.stderr().slice(-2000)}`)
    const made = Number(last[1]) + Number(last[2])
    const names = strange.map(({ name }) => name)
    const [got] = yield* cluster.sql<{ calls: number; theirs: number }>`
      select count(*) filter (where kind = 'look' and runner in ${cluster.sql.in(names)} and call like '%@c0')::int as calls,
        count(*) filter (where kind = 'look' and runner not in ${cluster.sql.in(names)}
          and (call like '%@c5' or call like '%@c6'))::int as theirs
      from effects`
    if (got!.calls > 0) faults.push(`runners without a key got ${got!.calls} calls`)
    if (got!.theirs > 0) faults.push(`${got!.theirs} calls of clients without a key were executed`)
    return {
      sent: made,
      delivered: ended(""),
      lost: made - ended(""),
      duplicated: 0,
      notes: [
        `runners without a key got ${got!.calls} calls, and of clients without one ${got!.theirs} were executed; ${meanwhile} calls with keys ended meanwhile`,
        ...reasons
      ]
    }
  })
  return outcomeOf(program, faults)
}
