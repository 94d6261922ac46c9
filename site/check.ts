/**
 * Looks at the site that was built, in a real browser: each page, each link and each anchor, on a wide
 * screen and on a phone; the picture of where a message is, by keyboard; and the search.
 */
import assert from "node:assert/strict"
import { createReadStream, existsSync, mkdtempSync, readdirSync, statSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { extname, join } from "node:path"
import { Effect } from "effect"
import { type BrowserEvent, browser } from "../test/support/browser.ts"
import { places, ways } from "./where.ts"

const dist = join(import.meta.dirname, ".vitepress", "dist")
const types: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".json": "application/json",
  ".woff2": "font/woff2"
}

/** The site as a server of static files has it: `/start` is `start.html`. */
const serve = Effect.acquireRelease(
  Effect.callback<{ url: string; close: () => void }>((resume) => {
    const server = createServer((request, response) => {
      const path = decodeURIComponent(new URL(request.url!, "http://x").pathname)
      const file = [path, `${path}.html`, join(path, "index.html")]
        .map((name) => join(dist, name))
        .find((name) => existsSync(name) && statSync(name).isFile())
      response.writeHead(file ? 200 : 404, { "content-type": types[extname(file ?? ".html")] ?? "text/html" })
      createReadStream(file ?? join(dist, "404.html")).pipe(response)
    }).listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo
      const close = () => {
        server.close()
        server.closeAllConnections()
      }
      resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, close }))
    })
  }),
  ({ close }) => Effect.sync(close)
)

const shots = mkdtempSync(join(tmpdir(), "site-"))
const wide = { width: 1280, height: 900, deviceScaleFactor: 1, mobile: false }
const phone = { width: 390, height: 844, deviceScaleFactor: 2, mobile: true }

/** What is said of each page. */
const shownPages: Record<string, string> = {
  home: "/",
  start: "/start",
  cancellation: "/cancellation",
  queue: "/how-to/queue",
  options: "/options",
  reference: "/reference/Zmq"
}

const check = Effect.gen(function* () {
  const { url } = yield* serve
  let at = ""
  const faults: Array<string> = []
  const onEvent = ({ method, params }: BrowserEvent): void => {
    const about = params as {
      type?: string
      args?: ReadonlyArray<{ value?: unknown; description?: string }>
      exceptionDetails?: { exception?: { description?: string } }
      request?: { url: string }
      response?: { url: string; status: number }
      errorText?: string
      canceled?: boolean
    }
    if (method === "Runtime.consoleAPICalled" && ["error", "warning", "assert"].includes(about.type!)) {
      faults.push(
        `${at}: the console says ${about.args!.map(({ value, description }) => value ?? description).join(" ")}`
      )
    }
    if (method === "Runtime.exceptionThrown") {
      faults.push(`${at}: threw ${about.exceptionDetails!.exception?.description}`)
    }
    if (method === "Network.requestWillBeSent" && !/^(data|blob):/.test(about.request!.url)) {
      if (!about.request!.url.startsWith(url))
        faults.push(`${at}: asks for ${about.request!.url}, which is not of the site`)
    }
    if (method === "Network.responseReceived" && about.response!.status >= 400) {
      faults.push(`${at}: ${about.response!.url} is ${about.response!.status}`)
    }
    if (method === "Network.loadingFailed" && about.canceled !== true) faults.push(`${at}: ${about.errorText}`)
  }
  const ask = yield* browser(onEvent)
  const { targetId } = yield* ask<{ targetId: string }>("Target.createTarget", { url: "about:blank" })
  const { sessionId } = yield* ask<{ sessionId: string }>("Target.attachToTarget", { targetId, flatten: true })
  const command = (method: string, params: object = {}) => ask<object>(method, params, sessionId)
  for (const domain of ["Page", "Runtime", "Network"]) yield* command(`${domain}.enable`)

  const evaluate = <A>(expression: string) =>
    Effect.flatMap(
      ask<{ result: { value: A }; exceptionDetails?: { text: string } }>(
        "Runtime.evaluate",
        { expression, returnByValue: true, awaitPromise: true },
        sessionId
      ),
      ({ exceptionDetails, result }) =>
        exceptionDetails
          ? Effect.die(new Error(`${at}: ${expression}: ${exceptionDetails.text}`))
          : Effect.succeed(result.value)
    )
  const until = (expression: string) =>
    Effect.gen(function* () {
      while (!(yield* evaluate<boolean>(expression))) yield* Effect.sleep("20 millis")
    }).pipe(
      Effect.timeoutOrElse({
        duration: "30 seconds",
        orElse: () => Effect.die(new Error(`${at}: never came true: ${expression}`))
      })
    )
  const look = (
    { width, ...screen }: typeof wide,
    features: Record<string, string> = { "prefers-color-scheme": "light", "prefers-reduced-motion": "reduce" }
  ) =>
    Effect.andThen(
      command("Emulation.setDeviceMetricsOverride", { width, ...screen }),
      command("Emulation.setEmulatedMedia", {
        features: Object.entries(features).map(([name, value]) => ({ name, value }))
      })
    )
  const open = (path: string) =>
    Effect.gen(function* () {
      at = path
      yield* command("Page.navigate", { url: url + path })
      yield* until(
        `location.href.startsWith(${JSON.stringify(url + path)}) && document.readyState === "complete" && !!document.querySelector("#app")?.__vue_app__`
      )
    })
  const press = (key: string) =>
    Effect.gen(function* () {
      for (const type of ["keyDown", "keyUp"]) yield* command("Input.dispatchKeyEvent", { type, key, code: key })
    })
  const screenshot = (name: string) =>
    Effect.gen(function* () {
      const { data } = (yield* command("Page.captureScreenshot", { format: "png" })) as { data: string }
      writeFileSync(join(shots, `${name}.png`), Buffer.from(data, "base64"))
    })

  // Every page, by what leads to it.
  yield* look(wide)
  const seen = new Map<string, ReadonlySet<string>>()
  const links: Array<{ from: string; to: string; anchor: string }> = []
  const waiting = ["/"]
  while (waiting.length > 0) {
    const path = waiting.pop()!
    if (seen.has(path)) continue
    yield* open(path)
    const { hrefs, ids } = yield* evaluate<{ hrefs: Array<string>; ids: Array<string> }>(
      `({ hrefs: [...document.querySelectorAll("a[href]")].map((a) => a.href), ids: [...document.querySelectorAll("[id], a[name]")].map((e) => e.id || e.name) })`
    )
    seen.set(path, new Set(ids))
    for (const href of hrefs.filter((href) => href.startsWith(url))) {
      const { hash, pathname } = new URL(href)
      links.push({ from: path, to: pathname, anchor: decodeURIComponent(hash.slice(1)) })
      if (!seen.has(pathname)) waiting.push(pathname)
    }
    const isMissing = yield* evaluate<boolean>(`document.querySelector(".NotFound") !== null`)
    if (isMissing) faults.push(`${path}: is not there`)
    // On a phone nothing but code and tables scrolls sideways, and they in themselves.
    yield* look(phone)
    const width = yield* evaluate<number>("document.documentElement.scrollWidth")
    if (width > phone.width) {
      const widest = yield* evaluate<string>(
        `[...document.querySelectorAll("main *")].reduce((a, b) => b.getBoundingClientRect().right > a.getBoundingClientRect().right ? b : a).outerHTML.slice(0, 200)`
      )
      faults.push(`${path}: ${width} pixels wide on a phone of ${phone.width}: ${widest}`)
    }
    yield* look(wide)
  }
  for (const { anchor, from, to } of links) {
    if (anchor !== "" && !seen.get(to)!.has(anchor)) faults.push(`${from}: there is no #${anchor} on ${to}`)
  }
  const built = readdirSync(dist, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".html"))
  const reached = new Set([...seen.keys()].map((path) => (path.endsWith("/") ? `${path}index.html` : `${path}.html`)))
  for (const file of built)
    if (file !== "404.html" && !reached.has(`/${file}`)) faults.push(`/${file}: no link leads there`)
  assert.deepEqual([...new Set(faults)], [])
  console.log(`${seen.size} pages, and ${links.length} links within the site`)

  // The picture: each way from its first step to its last, by keyboard.
  yield* look(wide)
  yield* open("/cancellation")
  const picture = `document.querySelector("section.where")`
  const says = Effect.map(
    evaluate<{ text: string; here: string; live: string; letter: string }>(
      `({ text: ${picture}.querySelector("[aria-live]").innerText, here: ${picture}.querySelector("[aria-current]").innerText, live: ${picture}.querySelector("[aria-live]").ariaLive, letter: getComputedStyle(${picture}.querySelector(".letter")).transitionDuration })`
    ),
    (said) => said
  )
  for (const [at, { code, name, steps }] of ways.entries()) {
    // As someone at a keyboard: to the button, and Enter.
    yield* evaluate(`${picture}.querySelectorAll(".ways button")[${at}].focus()`)
    yield* command("Input.dispatchKeyEvent", { type: "keyDown", key: "Enter", code: "Enter", text: "\r" })
    yield* command("Input.dispatchKeyEvent", { type: "keyUp", key: "Enter", code: "Enter" })
    yield* until(`${picture}.querySelectorAll(".ways button")[${at}].ariaPressed === "true"`)
    assert.equal(yield* evaluate<string>(`${picture}.querySelector(".code").innerText.trim()`), code, name)
    for (const [i, step] of steps.entries()) {
      if (i > 0) yield* press("ArrowRight")
      yield* until(`${picture}.querySelector(".count").innerText === "Step ${i + 1} of ${steps.length}"`)
      const { here, letter, live, text } = yield* says
      assert.ok(text.includes(step.what) && text.includes(step.knows), `${name}, step ${i + 1} says: ${text}`)
      assert.equal(here, places[step.place])
      assert.deepEqual([live, letter], ["polite", "0s"])
    }
    // The last step is the last.
    yield* press("ArrowRight")
    yield* press("ArrowLeft")
    yield* until(`${picture}.querySelector(".count").innerText === "Step ${steps.length - 1} of ${steps.length}"`)
    yield* press("End")
    yield* until(`${picture}.querySelector(".count").innerText === "Step ${steps.length} of ${steps.length}"`)
    yield* evaluate(`${picture}.scrollIntoView({ block: "center" })`)
    yield* screenshot(`picture-${at + 1}`)
  }
  // It moves for whoever has not asked for less.
  yield* look(wide, { "prefers-color-scheme": "light", "prefers-reduced-motion": "no-preference" })
  assert.equal((yield* says).letter, "0.5s")
  yield* look(phone)
  yield* open("/cancellation")
  yield* evaluate(`${picture}.scrollIntoView({ block: "center" })`)
  yield* screenshot("picture-phone")
  yield* look(wide)
  console.log("the picture was stepped through by keyboard, in its three parts")

  // The search.
  yield* open("/")
  yield* evaluate(`document.querySelector("#local-search button").click()`)
  yield* until(`document.activeElement?.classList.contains("search-input") === true`)
  yield* command("Input.insertText", { text: "high-water mark" })
  yield* until(`document.querySelectorAll("#localsearch-list .result").length > 0`)
  yield* screenshot("search")
  const found = yield* evaluate<Array<string>>(
    `[...document.querySelectorAll("#localsearch-list .result")].slice(0, 5).map((a) => new URL(a.href).pathname)`
  )
  yield* open(found[0]!)
  assert.match(yield* evaluate<string>(`document.querySelector("main").innerText`), /high-water mark/i)
  console.log(`the search finds "high-water mark" on ${found.join(", ")}`)

  // Six pages, to look at.
  for (const [name, path] of Object.entries(shownPages)) {
    yield* look(wide)
    yield* open(path)
    yield* screenshot(`${name}-light`)
    yield* look(wide, { "prefers-color-scheme": "dark" })
    yield* until(`document.documentElement.classList.contains("dark")`)
    yield* screenshot(`${name}-dark`)
    yield* look(phone)
    yield* until(`!document.documentElement.classList.contains("dark")`)
    yield* screenshot(`${name}-phone`)
  }
  assert.deepEqual(faults, [])
  console.log(`the screenshots are in ${shots}`)
})

await Effect.runPromise(Effect.scoped(check))
