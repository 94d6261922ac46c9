/** Ours, zeromq.js and PyZMQ with each other, under backpressure, and every octet compared. */
import { spawnSync } from "node:child_process"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { fewCases, flows, nameOf } from "../proof/interop/cases.ts"
import { Python, python } from "../proof/interop/theirs.ts"
import { tryCase } from "../proof/interop/try.ts"

const hasPeer = spawnSync(python, ["-c", "import zmq"]).status === 0

it("PyZMQ is there to talk to, or this is not CI", () => {
  expect(hasPeer || process.env.CI !== "true").toBe(true)
})

// All 2,220 cases are tried by `tsx proof/interop/run.ts`.
describe.skipIf(!hasPeer)("each two of all kinds of sides, types, roles, transports, mechanisms and marks", () => {
  let peer: Python
  beforeAll(() => {
    peer = new Python()
  })
  afterAll(() => peer.close())

  for (const one of fewCases())
    it.live(nameOf(one), () =>
      Effect.map(tryCase(one, peer), (timesStuck) => {
        if (flows(one)) expect(timesStuck).toBeGreaterThan(0)
      })
    )
})
