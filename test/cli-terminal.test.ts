/** The command `ezmq` in a terminal. */
import { fileURLToPath } from "node:url"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { anyPort, build, clean, commandLine, endAll, Running, start } from "./support/ezmq.ts"

beforeAll(build)
afterAll(clean)
afterEach(endAll)

const ctrlC = ["send", "\u0003"]

const inTerminal = (steps: ReadonlyArray<ReadonlyArray<string>>, ...args: ReadonlyArray<string>): Running =>
  new Running("/usr/bin/python3", [
    fileURLToPath(new URL("support/terminal.py", import.meta.url)),
    JSON.stringify(steps),
    ...commandLine(args)
  ])

describe("in a terminal", () => {
  it("a proxy counts in one line, and Ctrl-C ends it with the count", async () => {
    const steps = [["until", "5 requests ("], ["until", "5 replies (0/s)"], ctrlC]
    const proxy = inTerminal(steps, "proxy", "queue", "--frontend", anyPort, "--backend", anyPort, "-i", "100ms")
    const bound = () => [...proxy.stdout.matchAll(/listening on (\S+)/g)].map(([, endpoint]) => endpoint!)
    await proxy.until(() => /queue from [^\n]*\n/.test(proxy.stdout))
    const [front, back] = bound()
    start("rep", "--echo", back!)
    expect((await start("req", front!, "-n", "5", "hi").ended).stdout).toBe("hi\n".repeat(5))
    const { code, stdout } = await proxy.ended
    expect(code).toBe(130)
    const counts = stdout.slice(stdout.indexOf("queue from")).split("\n").slice(1)
    // The line is written over, and is there once more at the end.
    expect(counts[0]!.split("\r\u001b[K").length).toBeGreaterThan(3)
    expect(counts[0]).toMatch(/5 requests \(0\/s\) {2}5 replies \(0\/s\)\r?$/)
    expect(counts.slice(1)).toEqual([""])
  })

  it("a line that is typed is sent, and what comes can do nothing to the terminal", async () => {
    const pull = start("pull", "--bind", anyPort, "-n", "1")
    const endpoint = await pull.endpoint()
    const push = inTerminal(
      [
        ["send", "typed\n"],
        ["until", "typed"],
        ["send", "\u0004"]
      ],
      "push",
      endpoint
    )
    expect((await push.ended).code).toBe(0)
    expect((await pull.ended).stdout).toBe("typed\n")

    const shown = inTerminal([["until", "safe"], ctrlC], "pull", "--bind", anyPort)
    await shown.until(() => /listening on \S+\r/.test(shown.stdout))
    const to = /listening on (\S+)/.exec(shown.stdout)![1]!
    await start("push", to).input("\u001b[2Junsafe\tframe\nsafe\n").ended
    const { code, stdout } = await shown.ended
    expect([code, stdout.includes("\\x1b[2Junsafe\tframe")]).toEqual([130, true])
    expect(stdout).not.toContain("\u001b[2J")
  })

  it("Ctrl-C ends who waits for a peer, at once", async () => {
    const push = inTerminal([["until", "waiting for a peer"], ctrlC], "push", "--bind", anyPort, "hello")
    expect((await push.ended).code).toBe(130)
  })
})
