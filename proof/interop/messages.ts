/** What is sent: messages of all sizes that matter, of which no two frames are alike. */
import { createHash } from "node:crypto"

/** The sizes of the frames of each message. */
export type Plan = ReadonlyArray<ReadonlyArray<number>>

const kibi = 1024
const mebi = 1024 * kibi

const edges: Plan = [
  [0],
  [1],
  [255],
  [256],
  [0, 0, 0],
  [64 * kibi - 1],
  [64 * kibi],
  [64 * kibi + 1],
  [128 * kibi, 0],
  [128 * kibi + 1],
  [200_000, 255, 0, 300_000],
  [1 * mebi],
  [256, 1 * mebi, 0, 64 * kibi],
  [10 * mebi],
  [3]
]

const many = (count: number): Plan =>
  Array.from({ length: count }, (_, i) =>
    i % 5 === 0 ? [(i * 7) % 300, (i * 13) % 40, 0] : i % 50 === 1 ? [8191 + (i % 3)] : [(i * 37) % 600]
  )

/** More than the kernel holds for a connection. */
const much: Plan = Array.from({ length: 12 }, () => [1 * mebi])

/**
 * For a connection that fills up: the inbox of the receiver, then the buffers of the
 * kernel, and then, in the middle of large frames, all that the sender holds.
 */
export const streamOf = (mark: number): Plan => [...many(mark + 50), ...much, ...edges, ...many(mark + 50), ...edges]

/** For requests and replies. */
export const talk: Plan = [...many(20), ...edges]

/** The octets of the frame of this number: `peer.py` makes the same. */
const octets = (number: number, size: number): Buffer =>
  size === 0 ? Buffer.alloc(0) : createHash("shake128", { outputLength: size }).update(String(number)).digest()

const made = new WeakMap<Plan, ReadonlyArray<ReadonlyArray<Buffer>>>()

/** The messages of a plan. */
export const messagesOf = (plan: Plan): ReadonlyArray<ReadonlyArray<Buffer>> => {
  let messages = made.get(plan)
  if (messages === undefined) {
    let number = 0
    messages = plan.map((sizes) => sizes.map((size) => octets(number++, size)))
    made.set(plan, messages)
  }
  return messages
}

/** What is wrong with a message, or `undefined`. */
export const wrongWith = (found: ReadonlyArray<Buffer>, expected: ReadonlyArray<Buffer>): string | undefined => {
  if (found.length !== expected.length) return `${found.length} frames, and not ${expected.length}`
  for (const [i, frame] of found.entries()) {
    const right = expected[i]!
    if (frame.length !== right.length) return `frame ${i} has ${frame.length} octets, and not ${right.length}`
    if (!frame.equals(right)) return `frame ${i} of ${frame.length} octets differs at ${firstDifference(frame, right)}`
  }
  return undefined
}

const firstDifference = (a: Buffer, b: Buffer): number => {
  let at = 0
  while (a[at] === b[at]) at++
  return at
}
