/** What peers in processes of their own say: each line is an object. */
import { Effect } from "effect"
import type { Peer } from "./processes.ts"

export interface Told {
  /** It has done its worst, or begun to. */
  readonly asked?: number
  /** How far the one of its clients is that is the furthest behind, and how many answers all have. */
  readonly least?: number
  readonly replies?: number
  /** Milliseconds that one of them had to wait. */
  readonly longest?: number
  readonly lives?: number
  readonly turnedAway?: number
  /** What became of all. */
  readonly books?: Record<"sent" | "delivered" | "lost" | "duplicated" | "outOfOrder", number>
}

/** Seconds for which nobody may be without an answer, however busy the machine. */
export const patience = 60

/** What a peer said last of something. */
export const told = (peer: Peer, what: keyof Told): Told | undefined => {
  for (let at = peer.lines.length - 1; at >= 0; at--) {
    const said = JSON.parse(peer.lines[at]!) as Told
    if (said[what] !== undefined) return said
  }
  return undefined
}

export const untilTold = (peer: Peer, what: keyof Told): Effect.Effect<Told> =>
  Effect.gen(function* () {
    while (true) {
      const said = told(peer, what)
      if (said !== undefined) return said
      if (peer.child.exitCode !== null) return yield* Effect.die(new Error(`a peer ended by itself: ${peer.stderr()}`))
      yield* Effect.sleep(5)
    }
  })

/** Has a peer end, and say what became of all. */
export const endOf = (peer: Peer): Effect.Effect<Told> =>
  Effect.suspend(() => {
    peer.child.stdin!.end()
    return untilTold(peer, "books")
  })

/** Waits until each of a peer's clients has got so much further. `true` if all stood still. */
export const untilLeast = (peer: Peer, more: number): Effect.Effect<boolean> =>
  Effect.gen(function* () {
    const from = (yield* untilTold(peer, "least")).least!
    let replies = 0
    for (let since = performance.now(); performance.now() - since < patience * 1000; ) {
      const now = yield* untilTold(peer, "least")
      if (now.least! >= from + more) return false
      if (now.replies! > replies) since = performance.now()
      replies = now.replies!
      yield* Effect.sleep(10)
    }
    return true
  })
