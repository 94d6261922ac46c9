/** A queue against an array, and what it keeps. */
import { expect, it } from "vitest"
import { Queue } from "../src/internal/queue.ts"
import { randomOf } from "./support/scripted.ts"

it("a queue is an array that is pushed to and shifted from, however long it gets", () => {
  const random = randomOf(1)
  for (const bias of [0.3, 0.5, 0.7]) {
    const queue = new Queue<number>()
    const array: Array<number> = []
    for (let i = 0; i < 20_000; i++) {
      if (random() < bias) {
        queue.append(i)
        array.push(i)
      } else if (array.length > 0) expect(queue.take()).toBe(array.shift())
      if (queue.length !== array.length) expect(queue.length).toBe(array.length)
    }
    while (array.length > 0) expect(queue.take()).toBe(array.shift())
    expect(queue.length).toBe(0)
  }
})

it("a queue that is never empty keeps no more than is in it", () => {
  const queue = new Queue<number>()
  queue.append(0)
  for (let i = 1; i < 100_000; i++) {
    queue.append(i)
    expect(queue.take()).toBe(i - 1)
  }
  let pieces = 0
  for (let piece = (queue as unknown as { head: { next: unknown } | undefined }).head; piece; pieces++) {
    piece = piece.next as typeof piece
  }
  expect(pieces).toBeLessThanOrEqual(2)
})
