/** Runners that have no key of the cluster, beside those that have. */
import { Effect, Redacted } from "effect"
import { Curve } from "effect-zmq"
import { isOver, startCluster, until } from "../cluster/cluster.ts"
import { schema } from "../cluster/schema.ts"
import type { SecurityConfig } from "../peers/cluster/peer.ts"
import type { Outcome, Size } from "../row.ts"
import { progress, settle } from "../watch.ts"

const shards = 32

/** What a stranger has to say of the others, in a line of its log. */
const why = /effect-zmq:.*(did not|does not|not let|refused|no answer|nothing answers|handshake|unreachable)/i

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
    yield* until("each shard with one runner", cluster.isWhole)
    const calling = yield* cluster.startClient("client.ts", { security: securityOf(client) }, "60")
    const ended = (prefix: string) => calling.lines.filter((line) => line.startsWith(`end ${prefix}`)).length
    calling.child.stdin!.write(`go ${size.count}\n`)
    yield* until("all calls with keys", () => ended("p") >= size.count && ended("v") >= size.count)

    progress(() => "strangers")
    const before = ended("v")
    const strange = yield* Effect.all(
      [
        // It speaks no CURVE at all, and the other has a key that nobody trusts.
        cluster.start(3),
        cluster.start(4, {
          security: { ...securityOf(foreign), runners: { ...runners, [yield* address(4)]: foreign.publicKey } }
        })
      ],
      { concurrency: "unbounded" }
    )
    yield* Effect.sleep(15000)
    for (const r of cluster.runners) console.error("=====", r.name, r.peer.stderr().slice(0, 3000))
    console.error("===== client", calling.stderr().slice(0, 3000))
    const meanwhile = ended("v") - before
    const said = strange.map(
      ({ name, peer }) =>
        `${name}: ${why
          .exec(peer.stderr())
          ?.input.split("\n")
          .find((line) => why.test(line))}`
    )
    for (const { peer } of strange) yield* Effect.promise(() => peer.kill())
    yield* until("each shard with one runner", cluster.isWhole)
    calling.child.stdin!.write("stop\n")
    yield* until("the end of all calls", () => isOver(calling))

    const last = calling.lines.at(-1)?.split(" ") ?? []
    if (last[0] !== "done") faults.push(`the client ended early: ${calling.stderr().slice(-2000)}`)
    const made = Number(last[1]) + Number(last[2])
    const names = strange.map(({ name }) => name)
    const [got] = yield* cluster.sql<{ volatile: number; persisted: number }>`
      select count(*) filter (where kind = 'look')::int as volatile, count(*) filter (where kind = 'book')::int as persisted
      from effects where runner in ${cluster.sql.in(names)}`
    if (got!.volatile > 0) faults.push(`runners without a key got ${got!.volatile} calls`)
    return {
      sent: made,
      delivered: ended(""),
      lost: made - ended(""),
      duplicated: 0,
      notes: [
        `runners without a key got ${got!.volatile} calls; ${meanwhile} calls ended while they were there`,
        ...said
      ]
    }
  })
  const exit = await Effect.runPromise(settle(Effect.scoped(program)))
  const none = { redelivered: 0, receivable: 0, outOfOrder: null }
  if (exit._tag === "Success") return { ...exit.value, ...none, faults }
  return { sent: 0, delivered: 0, lost: 0, duplicated: 0, ...none, faults: [...faults, String(exit.cause)] }
}
