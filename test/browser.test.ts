/** The example of a bridge to the browser, in a process of its own: with a WebSocket of Node, and with a page in Chromium. */
import { spawn } from "node:child_process"
import { NodeWS } from "@effect/platform-node"
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { Socket } from "effect/socket"
import { browser, hasBrowser, missingBrowser as missing } from "./support/browser.ts"
import { nodeOptions } from "./support/child.ts"
import { until } from "./support/sockets.ts"

const root = new URL("..", import.meta.url).pathname

it("Chromium is there to try the page in, or this is not CI", () => {
  expect(hasBrowser || process.env.CI !== "true", missing).toBe(true)
})

/** The bridge, and where its page is. */
const bridge = Effect.gen(function* () {
  const { NODE_OPTIONS: _, ...env } = process.env
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [...nodeOptions, `${root}examples/websocket-bridge.ts`], {
        cwd: root,
        env: { ...env, PORT: "0" },
        stdio: ["ignore", "pipe", "pipe"]
      })
    ),
    (child) => Effect.sync(() => void child.kill("SIGKILL"))
  )
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
  yield* until(Effect.sync(() => self.said.endsWith("\n") || self.code !== undefined))
  expect(self.errors).toBe("")
  return { ...self, self, url: /^open (http:\S+)$/m.exec(self.said)![1]! }
})

const time = /^time \d{4}-\d\d-\d\dT\S+Z$/

it.live("examples/websocket-bridge.ts sends what was subscribed to, says what it does not understand, and stops", () =>
  Effect.gen(function* () {
    const { child, self, url } = yield* bridge
    const web = yield* Socket.makeWebSocket(`${url.replace("http", "ws")}/ws`)
    yield* Effect.gen(function* () {
      const next = yield* Socket.readerString(web)
      const { write } = yield* web.writer
      // Nothing was subscribed to: so the first that comes is this.
      yield* write("garbage")
      expect(yield* next).toEqual([expect.stringContaining("JSON")])
      yield* write('{"subscribe":"time"}')
      for (let i = 0; i < 3; i++) for (const text of yield* next) expect(text).toMatch(time)
    }).pipe(Effect.scoped)
    // With a page that has gone, and one that is there.
    yield* Effect.gen(function* () {
      const next = yield* Socket.readerString(web)
      const { write } = yield* web.writer
      yield* write('{"subscribe":"time"}')
      yield* next
      child.kill("SIGTERM")
      yield* until(Effect.sync(() => self.code !== undefined))
    }).pipe(Effect.scoped)
    expect(self).toMatchObject({ code: 130, errors: "" })
  }).pipe(Effect.scoped, Effect.provide(NodeWS.layerWebSocketConstructor))
)

it.live.skipIf(!hasBrowser)(
  hasBrowser ? "a page in Chromium shows the messages of a SUB" : `a page in Chromium (${missing})`,
  () =>
    Effect.gen(function* () {
      const { url } = yield* bridge
      const ask = yield* browser()
      const { targetId } = yield* ask<{ targetId: string }>("Target.createTarget", { url })
      const { sessionId } = yield* ask<{ sessionId: string }>("Target.attachToTarget", { targetId, flatten: true })
      const shown = Effect.map(
        ask<{ result: { value?: string } }>(
          "Runtime.evaluate",
          { expression: `document.querySelector("pre")?.innerText`, returnByValue: true },
          sessionId
        ),
        ({ result }) => (result.value ?? "").split("\n").filter((line) => line !== "")
      )
      yield* until(Effect.map(shown, (lines) => lines.length >= 3))
      for (const line of yield* shown) expect(line).toMatch(time)
    }).pipe(Effect.scoped)
)
