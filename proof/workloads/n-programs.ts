/** The row of (n) for programs in processes of their own. */
import { Effect } from "effect"
import { randomOf, seed } from "../moments.ts"
import { startNodePeer } from "../processes.ts"
import type { Outcome, Size } from "../row.ts"
import { empty, path, patience, sleep } from "../wait.ts"
import { progress, settle } from "../watch.ts"
import { framed, listen } from "../zmtp.ts"

/** What the reader says to begin with: it subscribes, says hello, or asks all its questions. */
const saidTo = (way: string, count: number): Buffer => {
  if (way === "pub") return framed("\x01")
  if (way === "router") return framed("hello")
  if (!serving.includes(way)) return Buffer.alloc(0)
  return Buffer.concat(Array.from({ length: count }, (_, number) => framed("", String(number))))
}

/** The type of the reader at the other end. */
const readers: Readonly<Record<string, string>> = {
  push: "PULL",
  "push, sendAll": "PULL",
  dealer: "DEALER",
  "dealer, sendAll": "DEALER",
  pair: "PAIR",
  pub: "SUB",
  router: "DEALER",
  rep: "REQ",
  "router, serve": "DEALER"
}
const ways = Object.keys(readers)
const serving: ReadonlyArray<string> = ["rep", "router, serve"]
const ends = ["success", "signal", "failure", "defect"] as const

export const programs = async (size: Size): Promise<Outcome> => {
  const random = randomOf()
  const faults: Array<string> = []
  const books = empty()
  const count = size.quick ? 100 : 300
  const bytes = 20_000
  let ended = 0
  let unwritten = 0
  let waited = 0

  const one = (way: string, end: (typeof ends)[number], transport: "tcp" | "ipc") =>
    Effect.gen(function* () {
      const name = `${way} over ${transport}, ${end}`
      const serves = serving.includes(way)
      const reader = yield* Effect.acquireRelease(
        Effect.promise(() => listen(readers[way]!, saidTo(way, count), transport === "ipc" ? path() : undefined)),
        (reader) => Effect.sync(() => reader.close())
      )
      // A signal may come while it waits for room.
      const highWaterMark = end === "signal" ? 10 : [0, 10, 1000][random(3)]!
      const text = JSON.stringify({ count, bytes, highWaterMark })
      const program = yield* startNodePeer("ending.ts", way, end, reader.endpoint, text)
      const received: Array<number> = []
      const pause = random(4)
      const read = async () => {
        for await (const message of reader.messages) {
          const [number, body] = message.at(-1)!.toString("latin1").split(" ")
          if (body?.length !== bytes) faults.push(`${name}: a message was not whole`)
          received.push(Number(number))
          if (pause > 0) await sleep(pause)
        }
      }
      const reading = read()

      const written = (word: string) =>
        program.lines.filter((line) => line.startsWith(word)).map((line) => Number(line.split(" ")[1]))
      if (end === "signal") {
        const after = way.endsWith("sendAll") || random(2) === 0 ? count : 1 + random(count)
        while (written("accepted").length < after && program.child.exitCode === null) yield* Effect.sleep(1)
        program.child.kill("SIGTERM")
      }
      const stopped = performance.now()
      while (program.child.exitCode === null && program.child.signalCode === null) {
        if (performance.now() - stopped > 3 * patience * 1000) {
          faults.push(`${name}: it does not end`)
          yield* Effect.promise(() => program.kill())
        }
        yield* Effect.sleep(5)
      }
      waited = Math.max(waited, performance.now() - stopped)
      yield* Effect.promise(() => program.ended)
      if (end === "success" && program.child.exitCode !== 0) faults.push(`${name}: ${program.stderr().slice(0, 500)}`)

      const accepted = new Set(written("accepted"))
      // Its connection ends when it has ended.
      const whole = yield* Effect.timeoutOption(
        Effect.promise(() => reading),
        `${patience} seconds`
      )
      if (whole._tag === "None") faults.push(`${name}: its connection does not end`)
      const seen = new Set(received)
      const delivered = [...accepted].filter((number) => seen.has(number)).length
      const begun = serves ? written("asked").filter((number) => !accepted.has(number)).length : 0
      const extra = [...seen].filter((number) => !accepted.has(number)).length
      if (begun > 0) faults.push(`${name}: ${begun} handlers that may not be interrupted did not finish`)
      if (extra > (serves ? 0 : 1)) faults.push(`${name}: ${extra} messages arrived that nobody was told are sent`)
      if (accepted.size === 0) faults.push(`${name}: it sent nothing: ${program.stderr().slice(0, 500)}`)
      const lost = accepted.size - delivered
      if (lost > 0) faults.push(`${name}, high-water mark ${highWaterMark}: ${lost} of ${accepted.size} lost`)
      books.sent += accepted.size
      books.delivered += delivered
      books.lost += lost
      books.duplicated += received.length - seen.size
      // A service of several handlers answers in their order.
      if (!serves) for (let i = 1; i < received.length; i++) if (received[i]! < received[i - 1]!) books.outOfOrder++
      unwritten += extra
      ended++
      progress(() => `${ended} programs`)
    })

  const all = ways.flatMap((way) =>
    ends.flatMap((end) => (["tcp", "ipc"] as const).map((transport) => one(way, end, transport)))
  )
  const chosen = Array.from({ length: Math.ceil(size.count / all.length) }, () =>
    all.toSorted(() => random(2) - 0.5)
  ).flat()
  await Effect.runPromise(
    settle(
      Effect.forEach(chosen.slice(0, size.count), (program) => Effect.scoped(program), {
        concurrency: 4,
        discard: true
      })
    )
  )
  return {
    ...books,
    redelivered: 0,
    receivable: 0,
    faults,
    notes: [
      `${ended} programs`,
      `${unwritten} sent by a program that was stopped before it could write that down`,
      `the longest took ${(waited / 1000).toFixed(1)} s from its start, or from its signal, to its end`,
      `seed ${seed}`
    ]
  }
}
