/**
 * 100,000 numbered messages go from a ventilator through six workers to a sink,
 * while the workers are interrupted, timed out, raced and restarted all the
 * time. Then the books are made up: is every number somewhere?
 *
 * The same storm runs twice: over effect-zmq, and over the wrapper of zeromq.js
 * that one would write first. Run it with `npm run demo`, or on the other engine
 * with `ENGINE=zmtp npm run demo`.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Effect } from "effect"
import { Engine } from "effect-zmq"
import { effectZmq, obviousWrapper } from "./demo/jobs.ts"
import type { Ledger } from "./demo/ledger.ts"
import { showProgress } from "./demo/progress.ts"
import { storm, Unsettled } from "./demo/storm.ts"

const messages = Number(process.env.MESSAGES ?? 100_000)

const engine = process.env.ENGINE === "zmtp" ? Engine.layerZmtp : Engine.layerZeromq

const demo = Effect.gen(function* () {
  console.log(`${messages.toLocaleString("en")} messages, twice. Every worker is interrupted every few milliseconds.\n`)
  const ours = yield* showProgress("effect-zmq", storm(effectZmq, messages))
  const wrapper = yield* showProgress("obvious wrapper", storm(obviousWrapper, messages))
  const books: ReadonlyArray<readonly [string, (ledger: Ledger) => number]> = [
    ["sent", (ledger) => ledger.sent],
    ["handled", (ledger) => ledger.handled],
    ["still queued", (ledger) => ledger.queued],
    ["lost", (ledger) => ledger.lost],
    ["  on the way to a worker", (ledger) => ledger.lostReceiving],
    ["  with a handler that was interrupted", (ledger) => ledger.lostHandling],
    ["redelivered to a handler", (ledger) => ledger.redelivered],
    ["handled twice by a recvString worker", (ledger) => ledger.twice],
    ["workers interrupted and restarted", (ledger) => ledger.interrupts],
    ["receives timed out", (ledger) => ledger.timeouts],
    ["receives that lost a race", (ledger) => ledger.races]
  ]
  const line = (name: string, ...columns: ReadonlyArray<string>) =>
    console.log(name.padEnd(40) + columns.map((column) => column.padStart(18)).join(""))
  line("\nledger", " effect-zmq", "obvious wrapper")
  for (const [name, count] of books) line(name, count(ours).toLocaleString("en"), count(wrapper).toLocaleString("en"))
  if (ours.lost > 0 || ours.twice > 0) {
    console.log("\neffect-zmq broke its promise. That is a bug: please report it.")
    process.exitCode = 1
  } else {
    console.log(`\neffect-zmq lost nothing. The obvious wrapper lost ${wrapper.lost.toLocaleString("en")}.`)
  }
})

// Then nothing can be said of losses.
const unsettled = ({ found, sent }: Unsettled) =>
  Effect.sync(() => {
    const [count, all] = [found, sent].map((number) => number.toLocaleString("en"))
    console.log("\nNothing has moved for a minute, and yet not every connection has come to its end.")
    console.log(`${count} of ${all} were found so far. Where the others are cannot be said: is this machine very busy?`)
    process.exitCode = 1
  })

const isUnsettled = (error: unknown): error is Unsettled => error instanceof Unsettled

NodeRuntime.runMain(demo.pipe(Effect.catchIf(isUnsettled, unsettled), Effect.provide(engine)))
