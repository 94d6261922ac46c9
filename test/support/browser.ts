/** Chromium, for tests that look at a page. */
import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import type { Readable, Writable } from "node:stream"
import { Deferred, Effect } from "effect"

const chromium = process.env.CHROMIUM ?? "/usr/bin/chromium"
export const hasBrowser = existsSync(chromium)
export const missingBrowser = `${chromium} is not there: install the package chromium`

/** What a browser tells by itself: of a console, of requests, of a page that has loaded. */
export interface BrowserEvent {
  readonly method: string
  readonly params: object
}

/** A browser, and what it answers to a command of the Chrome DevTools Protocol: JSON between zeros, in two pipes. */
export const browser = Effect.fn(function* (onEvent: (event: BrowserEvent) => void = () => {}) {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(`${tmpdir()}/chromium-`)),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }))
  )
  const options = [
    "--headless",
    "--disable-dev-shm-usage",
    "--no-sandbox",
    "--disable-gpu",
    "--remote-debugging-pipe",
    `--user-data-dir=${folder}`
  ]
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => spawn(chromium, options, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] })),
    (child) =>
      Effect.callback<void>((resume) => {
        child.once("close", () => resume(Effect.void))
        // All of its processes end, and nothing writes to its folder any more.
        ;(child.stdio[3] as Writable).write(`${JSON.stringify({ id: 1_000_000, method: "Browser.close" })}\0`)
      })
  )
  const [toBrowser, fromBrowser] = [child.stdio[3] as Writable, child.stdio[4] as Readable]
  const asked = new Map<number, Deferred.Deferred<unknown>>()
  let rest = ""
  fromBrowser.setEncoding("utf8").on("data", (text: string) => {
    const messages = (rest + text).split("\0")
    rest = messages.pop()!
    for (const message of messages) {
      const said = JSON.parse(message) as BrowserEvent & { id?: number; result?: unknown; error?: unknown }
      const { error, id, result } = said
      if (id === undefined) onEvent(said)
      const answer = id === undefined ? undefined : asked.get(id)
      if (answer) Deferred.doneUnsafe(answer, error ? Effect.die(error) : Effect.succeed(result))
    }
  })
  return <A>(method: string, params: object, sessionId?: string) =>
    Effect.gen(function* () {
      const answer = yield* Deferred.make<unknown>()
      const id = asked.size
      asked.set(id, answer)
      toBrowser.write(`${JSON.stringify({ id, method, params, sessionId })}\0`)
      return (yield* Deferred.await(answer)) as A
    })
})
