/** What must be reached, and whether it is. */
import { type Row, ratio, spreadOf } from "./harness.ts"

export interface Verdict {
  readonly what: string
  readonly must: string
  readonly is: number
  readonly low: number
  readonly high: number
  readonly unit: string
  readonly met: boolean
}

/** How a contender compares with another. `workload contender metric`, where the metric is "mean" unless given. */
interface Comparison {
  readonly what: string
  readonly workload: string
  readonly contender: string
  readonly baseline?: string
  readonly metric?: string
  /** At least so many times as fast as the baseline. */
  readonly speed?: number
  /** At most so many times the baseline. */
  readonly atMost?: number
  /** Less than so much, whatever the baseline, and of what: "%" unless given. */
  readonly below?: number
  readonly unit?: string
}

const fast = (what: string, workload: string, contender: string, baseline: string, speed: number): Comparison => ({
  what: `${what} against ${baseline}`,
  workload,
  contender,
  baseline,
  speed
})

// The obvious wrapper of the same kind, and the one that costs least: a loop
// that does without streams and handlers.
const receives = [
  { contender: "recvString", baseline: "for await, text", wrappers: ["wrapper, text"] },
  { contender: "strings", baseline: "for await, text", wrappers: ["wrapper, stream of text", "wrapper, text"] },
  { contender: "runForEach", baseline: "for await", wrappers: ["wrapper, handler", "wrapper"] }
]

const receiving = (label: string, speed: number, wrapperSpeed?: number): Array<Comparison> =>
  ["from a backlog", "over tcp"].flatMap((source) =>
    receives.flatMap(({ contender, baseline, wrappers }) => {
      const against = (other: string, least: number) =>
        fast(`\`${contender}\`, ${label} ${source}`, `receive ${label} ${source}`, contender, other, least)
      return [
        against(baseline, speed),
        ...(wrapperSpeed === undefined ? [] : wrappers.map((wrapper) => against(wrapper, wrapperSpeed))),
        ...(label === "16 B" ? [against("PyZMQ asyncio", 8)] : [])
      ]
    })
  )

/** The engine in TypeScript against the default one, in the same program. */
const onZmtp = (what: string, way: string | undefined, speed: number, metric?: string): Comparison => ({
  what: `ZMTP: ${what}${way === undefined ? "" : `, ${way}`}${metric === undefined ? "" : `, ${metric}`}, against libzmq`,
  workload: `engines: ${what}`,
  contender: way === undefined ? "zmtp" : `zmtp, ${way}`,
  baseline: way === undefined ? "zeromq" : `zeromq, ${way}`,
  speed,
  ...(metric === undefined ? {} : { metric })
})

const ways = ["recvString", "messages", "runForEach"] as const

const flat = (what: string, workload: string, contender: string, baseline: string): Comparison => ({
  what,
  workload,
  contender,
  baseline,
  atMost: 1.15
})

const engines: ReadonlyArray<Comparison> = [
  ...ways.map((way, i) => onZmtp("receive 16 B over tcp", way, [2.5, 3.5, 6][i]!)),
  ...ways.map((way) => onZmtp("receive 16 B over tcp", way, 4, "processor")),
  ...ways.map((way, i) =>
    fast(
      `ZMTP: receive 16 B over tcp, ${way}`,
      "engines: receive 16 B over tcp",
      `zmtp, ${way}`,
      "zeromq.js, for await",
      [4, 5, 8][i]!
    )
  ),
  ...ways.map((way, i) => onZmtp("receive 1 KiB over tcp", way, [2, 2.5, 3][i]!)),
  ...ways.map((way) => onZmtp("receive 64 KiB over tcp", way, 1.2)),
  ...ways.map((way) => onZmtp("receive 1 MiB over tcp", way, 0.9)),
  ...["send", "sendAll"].map((way) => onZmtp("send 16 B over tcp", way, 3)),
  ...["send", "sendAll"].map((way) => onZmtp("send 1 KiB over tcp", way, 2)),
  ...ways.map((way) => onZmtp("16 B over inproc, sent and received", way, 5)),
  ...(["median", "p99"] as const).map((metric) => ({
    what: `ZMTP: one request after the other, ${metric}, against libzmq`,
    workload: "engines: one request after the other over tcp",
    contender: "zmtp",
    baseline: "zeromq",
    metric,
    atMost: metric === "median" ? 0.6 : 1
  })),
  fast("ZMTP: 16 B, the engine alone", "engines: 16 B over tcp, the engine alone", "zmtp, taking", "C, libzmq", 1),
  onZmtp("PUB to 100 SUBs", undefined, 1),
  onZmtp("PUB to one SUB of 10,000 topics", undefined, 1),
  flat(
    "ZMTP: a message for nobody beside 1,000 idle SUBs against 1",
    "engines: PUB to nobody, beside so many idle SUBs",
    "zmtp, 1000",
    "zmtp, 1"
  ),
  onZmtp("ROUTER with 1000 DEALERs, runForEach", undefined, 1),
  onZmtp("receive 16 B over tcp with CURVE, runForEach", undefined, 1),
  onZmtp("receive 1 KiB over tcp with CURVE, runForEach", undefined, 1)
]

const targets: ReadonlyArray<Comparison> = [
  ...receiving("16 B", 1.3, 1.8),
  ...receiving("1 KiB", 1),
  ...receiving("64 KiB", 1),
  ...["send 16 B over inproc", "send 16 B over tcp"].flatMap((workload) => [
    fast(`\`send\`: ${workload}`, workload, "send", "await send()", 1),
    fast(`\`sendAll\`: ${workload}`, workload, "sendAll", "await send()", 1.8),
    fast(`\`sink\`: ${workload}`, workload, "sink", "await send()", 1.8)
  ]),
  ...(["median", "p99"] as const).map((metric) => ({
    what: `round trip REQ/REP over tcp, ${metric}`,
    workload: "round trip REQ/REP over tcp",
    contender: "request",
    baseline: "send(), receive()",
    metric,
    atMost: metric === "median" ? 1.1 : 1.3
  })),
  ...engines,
  fast("64 calls of RPC on ZMTP in flight", "64 RPCs in flight", "effect-zmq on ZMTP", "Effect's TCP", 1.5),
  fast("64 calls of RPC in flight", "64 RPCs in flight", "effect-zmq", "Effect's TCP", 1),
  fast("a stream of RPC, single elements", "a stream of RPC in chunks of 1", "effect-zmq", "Effect's TCP", 2),
  fast("a stream of RPC, chunks of 100", "a stream of RPC in chunks of 100", "effect-zmq", "Effect's TCP", 1.2),
  {
    what: "processor time of a call of RPC, 64 in flight, against Effect's TCP",
    workload: "64 RPCs in flight",
    contender: "effect-zmq",
    baseline: "Effect's TCP",
    metric: "processor time",
    atMost: 1
  },
  ...["effect-zmq", "effect-zmq on ZMTP"].map((contender) => ({
    what: `calls of RPC beside a client that reads nothing, against without, p99, ${contender}`,
    workload: "16 RPCs in flight beside a client that reads nothing",
    contender: `${contender}, beside it`,
    baseline: `${contender}, alone`,
    metric: "p99",
    atMost: 1.5
  })),
  ...(["64 calls of entities in flight"] as const).flatMap((workload) => [
    fast(workload, workload, "effect-zmq", "NodeClusterSocket", 1),
    fast(`${workload}, on ZMTP`, workload, "effect-zmq on ZMTP", "NodeClusterSocket", 1.3),
    { ...fast(`${workload}, p99`, workload, "effect-zmq", "NodeClusterSocket", 1), metric: "p99" },
    { ...fast(`${workload}, p99, on ZMTP`, workload, "effect-zmq on ZMTP", "NodeClusterSocket", 1.3), metric: "p99" }
  ]),
  fast("`Proxy.make`, a backlog of 16 B", "a proxy with a backlog of 16 B", "Proxy.make", "for await, send()", 1.3),
  {
    what: "a round trip through `Proxy.queue`, against for await, send()",
    workload: "a round trip through a queue over tcp",
    contender: "Proxy.make",
    baseline: "for await, send()",
    metric: "median",
    atMost: 1.1
  },
  {
    what: "a sender that waits for room",
    workload: "a sender that waits for room",
    contender: "send",
    metric: "% of a core",
    below: 2
  },
  {
    what: "1,000 idle receivers",
    workload: "1,000 idle receivers",
    contender: "effect-zmq",
    metric: "% of a core",
    below: 0.5
  },
  {
    what: "a 1 ms timer beside 50 flooded sockets, p99",
    workload: "50 flooded sockets",
    contender: "runForEach",
    metric: "p99",
    below: 20,
    unit: "ms"
  },
  ...["recv", "messages"].map((contender) => ({
    what: `\`${contender}\`, latency at one message per millisecond`,
    workload: "latency at one message per millisecond over tcp",
    contender,
    baseline: "for await",
    metric: "median",
    atMost: 1.05
  })),
  flat(
    "1,000,000 messages against 1,000",
    "a backlog of so many messages",
    "recvString, 1,000,000",
    "recvString, 1,000"
  ),
  flat("1,000 waiting fibers against 1", "fibers that wait for one message at a time", "1,000 fibers", "1 fiber"),
  flat("a mailbox of 100,000 messages against an empty one", "a mailbox that holds so many messages", "100,000", "0")
]

/** The verdict on each target that was measured. */
export const judge = (rows: ReadonlyArray<Row>): Array<Verdict> =>
  targets.flatMap((target) => {
    const find = (contender: string | undefined) =>
      rows.find(
        (row) =>
          row.workload === target.workload && row.contender === contender && row.metric === (target.metric ?? "mean")
      )
    const row = find(target.contender)
    if (row === undefined) return []
    const { what } = target
    if (target.below !== undefined) {
      const { low, median, high } = spreadOf(row.samples)
      const unit = ` ${target.unit ?? "%"}`
      return [{ what, must: `< ${target.below}${unit}`, is: median, low, high, unit, met: median < target.below }]
    }
    const baseline = find(target.baseline)
    if (baseline === undefined) return []
    const isSpeed = target.speed !== undefined
    const { low, median, high } = isSpeed ? ratio(baseline, row) : ratio(row, baseline)
    const must = isSpeed ? `>= ${target.speed} x` : `<= ${target.atMost} x`
    const met = isSpeed ? median >= target.speed! : median <= target.atMost!
    return [{ what, must, is: median, low, high, unit: " x", met }]
  })
