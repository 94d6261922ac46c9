/** The example of a service that a signal stops, in a process of its own. */
import { spawn } from "node:child_process"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Zmq } from "effect-zmq"
import { nodeOptions } from "./support/child.ts"
import { numbers, until } from "./support/sockets.ts"

const root = new URL("..", import.meta.url).pathname

/** The service as a process: what it has said, and how it ended. */
const service = Effect.acquireRelease(
  Effect.sync(() => {
    const { NODE_OPTIONS: _, ...env } = process.env
    const child = spawn(process.execPath, [...nodeOptions, `${root}examples/graceful-stop.ts`], {
      cwd: root,
      env: { ...env, ENDPOINT: "tcp://127.0.0.1:*" },
      stdio: ["ignore", "pipe", "pipe"]
    })
    const self = { child, said: "", errors: "", code: undefined as number | null | undefined }
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      self.said += text
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      self.errors += text
    })
    child.on("close", (code) => {
      self.code = code
    })
    return self
  }),
  ({ child }) => Effect.sync(() => void child.kill("SIGKILL"))
)

describe("examples/graceful-stop.ts", () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it.live(
      `replies to what it has in hand at ${signal}, takes nothing new, and exits`,
      () =>
        Effect.gen(function* () {
          const self = yield* service
          yield* until(Effect.sync(() => self.said.includes("listening on tcp://")))
          const [, connect] = /listening on (\S+)/.exec(self.said)!
          const client = yield* Zmq.dealer({ connect: connect!, linger: 0 })
          const asked = yield* Effect.forEach(numbers(0, 100), (number) =>
            Effect.forkScoped(client.request(`${number}`))
          )
          yield* until(Effect.sync(() => self.said.split("working on").length > 4))
          self.child.kill(signal)
          yield* until(Effect.sync(() => self.code !== undefined))
          // Those that were begun have their replies, and no other was begun after that.
          const [before, after] = self.said.split("stopping\n")
          expect(after).toBe("stopped\n")
          const begun = new Set([...before!.matchAll(/working on (\d+)/g)].map(([, number]) => Number(number)))
          expect(begun.size).toBeGreaterThanOrEqual(4)
          for (const number of begun) expect(`${yield* Fiber.join(asked[number]!)}`).toBe(`the answer to ${number}`)
          for (const number of numbers(0, 100)) {
            if (!begun.has(number)) expect(asked[number]!.pollUnsafe()).toBeUndefined()
          }
          expect(self.code).toBe(130)
          expect(self.errors).toBe("")
        }).pipe(Effect.scoped),
      60_000
    )
  }

  it.live(
    "exits when it has nothing to do",
    () =>
      Effect.gen(function* () {
        const self = yield* service
        yield* until(Effect.sync(() => self.said.includes("listening on")))
        self.child.kill("SIGTERM")
        yield* until(Effect.sync(() => self.code !== undefined))
        expect({ code: self.code, said: self.said.split("\n").slice(1) }).toEqual({
          code: 130,
          said: ["stopping", "stopped", ""]
        })
      }).pipe(Effect.scoped),
    60_000
  )
})
