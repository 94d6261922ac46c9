/** The picture of where a message is: its steps are in order, and the page says in words what it shows. */
import { readFileSync } from "node:fs"
import { expect, it } from "vitest"
import { asText, places, pressed, type Shown, ways } from "../site/where.ts"

it("the page about cancellation has the steps in words", () => {
  const page = readFileSync(new URL("../docs/cancellation.md", import.meta.url), "utf8")
  const words = /<!-- where: made from site\/where\.ts -->\n([\s\S]*?)\n<!-- end of where -->/.exec(page)?.[1]
  expect(words).toBe(asText())
})

it("a message begins at the peer, and ends with your code here alone", () => {
  expect(ways.map(({ steps }) => steps[0]!.place)).toEqual(["peer", "peer", "peer"])
  expect(ways.map(({ steps }) => steps.at(-1)!.place)).toEqual(["lost", "lost", "fiber"])
  expect(ways.flatMap(({ steps }) => steps.filter(({ place }) => place === "lost")).length).toBe(4)
})

it("a message is in a place that is drawn, and goes back only to the mailbox", () => {
  for (const { places: drawn, steps } of ways) {
    for (const [at, { place }] of steps.entries()) {
      expect(drawn).toContain(place)
      expect(places[place]).not.toBe("")
      const isBack = at > 0 && drawn.indexOf(place) < drawn.indexOf(steps[at - 1]!.place)
      expect(isBack ? place : "mailbox").toBe("mailbox")
    }
  }
})

it("keys step through it, and stop at both ends", () => {
  for (const [way, { steps }] of ways.entries()) {
    const press = (shown: Shown, ...keys: ReadonlyArray<string>): Shown =>
      keys.reduce((shown, key) => pressed(shown, key) ?? shown, shown)
    const first = { way, step: 0 }
    const last = { way, step: steps.length - 1 }
    expect(press(first, "ArrowLeft")).toEqual(first)
    expect(press(first, "ArrowRight", "ArrowRight", "ArrowLeft")).toEqual({ way, step: 1 })
    expect(press(first, ...steps.map(() => "ArrowRight"))).toEqual(last)
    expect(press(last, "Home")).toEqual(first)
    expect(press(first, "End")).toEqual(last)
    expect(pressed(first, "Tab")).toBeUndefined()
  }
})
