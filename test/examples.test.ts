/** Each example runs in a process of its own, ends by itself, and prints what it should. */
import { execFile, spawnSync } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { promisify } from "node:util"
import { Effect, type Scope } from "effect"
import { expect, it } from "vitest"
import { effectZmq, type OpenJobs } from "../examples/demo/jobs.ts"
import { storm } from "../examples/demo/storm.ts"
import { ofBinding } from "./support/byEngine.ts"
import { nodeOptions } from "./support/child.ts"
import { hasPostgres, missingPostgres, postgres } from "./support/postgres.ts"

const folder = new URL("../examples/", import.meta.url).pathname

const run = async (file: string, env: NodeJS.ProcessEnv = {}, ...args: Array<string>): Promise<Array<string>> => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [...nodeOptions, folder + file, ...args], {
    cwd: new URL("..", import.meta.url).pathname,
    timeout: 280_000,
    env: { ...process.env, NODE_OPTIONS: "", ...env }
  })
  expect(stderr).toBe("")
  return stdout.trimEnd().split("\n")
}

// In order. A text stands for a line, a pattern for one that may vary, and one without a list for all lines.
const expected: Record<string, ReadonlyArray<string | RegExp> | RegExp> = {
  "first-program.ts": ["received: hello"],
  "push-pull.ts": ["the sum of the first 30 squares is 9455"],
  "pub-sub.ts": ["weather.oslo: 18 degrees", "weather.oslo: 21 degrees", "weather.oslo: 17 degrees"],
  "request-reply.ts": ["no answer yet: TimeoutError", "the answer to life", "the answer to everything"],
  "router-serve.ts": ["1 4 9 16 25 36 49 64 81", "Unroutable"],
  "security-grasslands.ts": ["the client received: Hello"],
  "security-strawhouse.ts": ["the client received: Hello", "another client was refused: 400"],
  "security-woodhouse.ts": [
    "admin with guess: Denied, Credentials: wrong name or password",
    "carol with secret: Denied, Failed: the authenticator failed: see the `cause` of the decision",
    "admin with secret: Accepted",
    "admin received: Hello"
  ],
  "security-stonehouse.ts": ["the client received: Hello", "a stranger was refused", "a stranger was refused"],
  "security-ironhouse.ts": ["ann received: Hello Ann", "eve: Refused", "eve received: Hello Eve"],
  "proxy.ts": [
    "1 4 9",
    "16 25 36",
    "paused: 6 requests so far",
    "49 64 81",
    "9 requests to the workers, 9 replies back"
  ],
  "streams-and-schema.ts": [
    "2025-06-01T10:00:00.000Z roof",
    "2025-06-01T10:01:00.000Z cellar",
    "2025-06-01T10:02:00.000Z roof",
    "average 18.3",
    'refused: {"sensor":"attic"}'
  ],
  "codecs.ts": [
    "door: 500 pixels of the front at 2025-06-01T10:00:00.000Z",
    "json: 716 bytes, decoded",
    "msgpack: 523 bytes, decoded",
    /^binary: \d\d\d bytes, decoded$/,
    "1400 characters, inflated",
    "recvAs: expected frame header to be JSON, got 3 frames of 4, 9, 7 bytes",
    "the next message"
  ],
  "testing.ts": ["got 42, asked at 1,2.5,5", "gave up to paint it, tried at 1,2,4"],
  "market-data.ts": ["early: ACME 10/11, number 1", "late: ACME 12/13, number 2"],
  "batches.ts": ["2000 rows, in batches; 1 came twice"],
  "python-client.ts": ['{"_tag": "Quotient", "value": 3.5}', '{"_tag": "DivisionByZero"}', '{"_tag": "BadRequest"}'],
  "contexts.ts": ["two of left; 1 left", "two of right; 1 left", "left: 35 bytes", "right: 38 bytes"],
  "traces.ts": new RegExp(
    [
      "^total: 30",
      "gateway/order began trace ([0-9a-f]{32})",
      "shop/answer, asked by gateway/order, is in trace \\1",
      "worker/pack, asked by shop/answer, is in trace \\1$"
    ].join("\n")
  ),
  "devtools.ts": ["load, within page", "render, within page", "page, within nobody"],
  "readiness.ts": ["503 connecting", "200 all there", "503 connecting"],
  "rpc.ts": ["ann", "no user 2", "the sum is 5050", "served by one", "served by two", "served by two"],
  "events.ts": [
    "heard: weather.oslo 21 degrees",
    "station: listening",
    "station: somebody came in",
    "station: a peer is there",
    "station: the peer has left",
    "sent 1 message, 23 bytes"
  ],
  "curve.ts": [
    "the answer to life",
    "the server refused a peer: Protocol, ERR_ZMTP_CRYPTOGRAPHIC",
    "the stranger was refused: HandshakeFailed",
    "secret key: <redacted>"
  ],
  "draft.ts": [
    "I am Ann",
    "to Ann: Bob is here",
    "to Bob: welcome: I am Bob",
    "oslo: 9 degrees",
    "127.0.0.1:5574 says: anybody there?"
  ],
  "time-limits-and-interruption.ts": [
    "nothing came: Again",
    "in time: false",
    "the winner is the clock",
    "received: the message",
    "again: a long job",
    "finished: the last job",
    "stopped, and left: a job for tomorrow"
  ],
  "work-queue.ts": [/^499 jobs done, \d+ sent again$/, "the dead letter: job 13", "ann has stopped"]
}

it("every example is run here", () => {
  const files = readdirSync(folder).filter((file) => file.endsWith(".ts"))
  // Those by tests of their own, `graceful-stop.test.ts` and `browser.test.ts`.
  const others = ["demo.ts", "graceful-stop.ts", "websocket-bridge.ts"]
  expect(files.sort()).toEqual([...others, ...Object.keys(expected)].sort())
})

it("those by task have less than 60 lines, and a comment on top", () => {
  const index = readFileSync(new URL("../docs/README.md", import.meta.url), "utf8")
  const [, byTask] = /^### By task\n([\s\S]*?)^#/m.exec(index)!
  const files = [...byTask!.matchAll(/examples\/([\w-]+\.ts)/g)].map(([, file]) => file!)
  expect(files.length).toBeGreaterThanOrEqual(10)
  for (const file of files) {
    const text = readFileSync(folder + file, "utf8")
    expect(text.startsWith("/**"), file).toBe(true)
    expect(text.trimEnd().split("\n").length, file).toBeLessThan(60)
  }
})

const python = "/usr/bin/python3"

/** What an example needs of the machine, and what it is run with. */
interface Needs {
  readonly isThere?: boolean
  readonly missing?: string
  readonly env?: Effect.Effect<NodeJS.ProcessEnv, never, Scope.Scope>
}
const needs: Record<string, Needs> = {
  "python-client.ts": {
    isThere: spawnSync(python, ["-c", "import zmq"]).status === 0,
    missing: `${python} cannot import zmq: install the package python3-zmq`
  },
  "batches.ts": {
    isThere: hasPostgres,
    missing: missingPostgres,
    env: Effect.map(postgres, (url) => ({ DATABASE_URL: url }))
  },
  // zeromq.js warns of drafts.
  "draft.ts": { env: Effect.succeed({ NODE_NO_WARNINGS: "1" }) }
}

it("what the examples need is there, or this is not CI", () => {
  const missing = Object.values(needs).flatMap(({ isThere, missing }) => (isThere === false ? [missing] : []))
  expect(process.env.CI === "true" ? missing : []).toEqual([])
})

for (const [file, lines] of Object.entries(expected)) {
  const { env = Effect.succeed({}), isThere = true, missing } = needs[file] ?? {}
  const isAlien = file === "draft.ts" && ofBinding("drafts are sockets of libzmq")
  it.skipIf(!isThere || isAlien)(
    isThere ? `examples/${file}` : `examples/${file} (${missing})`,
    { timeout: 60_000, retry: 0 },
    async () => {
      const printed = await Effect.runPromise(
        Effect.scoped(Effect.flatMap(env, (env) => Effect.promise(() => run(file, env))))
      )
      if (lines instanceof RegExp) return expect(printed.join("\n")).toMatch(lines)
      expect(printed).toHaveLength(lines.length)
      lines.forEach((line, i) => {
        if (typeof line === "string") expect(printed[i]).toBe(line)
        else expect(printed[i]).toMatch(line)
      })
    }
  )
}

// The same app in each: how often it runs, and where, is all that differs.
const visited = [
  "first: the sum is 100",
  "ann: 0, 50, 100",
  "bob has 40",
  "Closed: bob has 40 again",
  "a night has passed"
]
const killed = ["3 runners", "a runner was killed: the sum is 200"]
const steps: ReadonlyArray<ReadonlyArray<string>> = [
  visited,
  [...visited, ...killed],
  [...visited, ...killed],
  [...visited, ...killed, "a stranger got nothing"]
]
for (const [i, lines] of steps.entries()) {
  // On ZMTP its tests have clusters enough.
  it.skipIf(i > 0 && (!hasPostgres || process.env.ENGINE === "zmtp"))(
    `examples/cluster/run.ts ${i + 1}${i > 0 && !hasPostgres ? ` (${missingPostgres})` : ""}`,
    { timeout: 300_000, retry: 0 },
    async () => expect(await run("cluster/run.ts", {}, `${i + 1}`)).toEqual(lines)
  )
}

it("examples/demo.ts, with fewer messages, loses none of them", { timeout: 60_000 }, async () => {
  const printed = await run("demo.ts", { MESSAGES: "3000" })
  const ledger = (name: string): Array<number> =>
    printed
      .find((line) => line.startsWith(`${name}  `))!
      .slice(name.length)
      .trim()
      .split(/\s+/)
      .map((count) => Number(count.replaceAll(",", "")))
  const [sent, handled, queued, lost] = ["sent", "handled", "still queued", "lost"].map(ledger)
  expect(sent).toEqual([3000, 3000])
  expect(lost![0]).toBe(0)
  for (const column of [0, 1]) expect(handled![column]! + queued![column]! + lost![column]!).toBe(3000)
  expect(printed.at(-1)).toMatch(/^effect-zmq lost nothing\. The obvious wrapper lost [\d,]+\.$/)
})

const books = async (openJobs: OpenJobs, messages: number) => {
  const { ledger, run } = storm(openJobs, messages)
  await Effect.runPromise(run)
  expect(ledger.sent).toBe(messages)
  expect(ledger.handled + ledger.queued + ledger.lost).toBe(messages)
  return ledger
}

it("the demo reports a message that is really lost", { timeout: 60_000 }, async () => {
  const dropped = "7"
  const careless: OpenJobs = (endpoint) =>
    Effect.map(effectZmq(endpoint), ({ recvString, runForEach }) => ({
      recvString: Effect.flatMap(recvString, (job) => (job === dropped ? recvString : Effect.succeed(job))),
      runForEach: (handler) => runForEach((job) => (job === dropped ? Effect.void : handler(job)))
    }))
  const { lost, twice } = await books(careless, 500)
  expect({ lost, twice }).toEqual({ lost: 1, twice: 0 })
})

it("the demo takes no message for lost that is only late", { timeout: 60_000 }, async () => {
  // Workers that have got nothing before the storm is over, and then take their time.
  const slow: OpenJobs = (endpoint) =>
    Effect.map(effectZmq(endpoint), ({ recvString }) => ({
      recvString: Effect.andThen(Effect.sleep("2 seconds"), recvString),
      runForEach: () => Effect.never
    }))
  const { lost, queued } = await books(slow, 3)
  expect({ lost, queued }).toEqual({ lost: 0, queued: 3 })
})
