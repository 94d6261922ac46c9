/** What is done to the runners of a cluster, and what it was seen to do to their shards. */
import { Effect } from "effect"
import { type Cluster, type NeverCame, type Runner, until } from "./cluster.ts"

export const kinds = ["killed", "frozen", "ended", "cut off", "joined"] as const
export type Kind = (typeof kinds)[number]

/** A time in which a runner was away, and did not know of it: milliseconds since 1970. */
export interface Away {
  readonly runner: string
  readonly from: number
  readonly to: number
}

export class Blows {
  readonly counts: Partial<Record<Kind, number>> = {}
  readonly aways: Array<Away> = []
  /** Milliseconds until the shards that a runner lost were with another, for each of them. */
  readonly moves: Array<number> = []
  /** Milliseconds for which a runner that came back took shards for its own that were no longer. */
  readonly lags: Array<number> = []
  private readonly cluster: Cluster
  private readonly random: (below: number) => number
  private next: number
  /** As many as there were. */
  private readonly least: number

  constructor(cluster: Cluster, random: (below: number) => number) {
    this.cluster = cluster
    this.random = random
    this.least = cluster.runners.length
    this.next = 1 + this.least
  }

  private any(): Runner {
    const live = this.cluster.live()
    return live[this.random(live.length)]!
  }

  /** Waits until all that a runner had has gone on to others, and notes how long that took. */
  private moved(from: Runner, had: ReadonlyArray<number>, at: number): Effect.Effect<void, NeverCame> {
    const whenOf = (shard: number): number | undefined => {
      const times = this.cluster.runners.flatMap((other) => {
        if (other === from) return []
        other.shards.update()
        return other.shards.came.filter(([which, when]) => which === shard && when >= at).map(([, when]) => when)
      })
      return times.length === 0 ? undefined : Math.min(...times)
    }
    return Effect.andThen(
      until(`the shards of ${from.name} with others`, () => had.every((shard) => whenOf(shard) !== undefined)),
      Effect.sync(() => {
        for (const shard of had) this.moves.push(whenOf(shard)! - at)
      })
    )
  }

  /** Takes a runner away for some time, and gives it back. */
  private away(runner: Runner, go: Effect.Effect<void>, comeBack: Effect.Effect<void>): Effect.Effect<void, NeverCame> {
    const blows = this
    return Effect.gen(function* () {
      const had = [...runner.shards.now()]
      const from = Date.now()
      yield* go
      // Longer than its locks, in the end.
      yield* blows.moved(runner, had, from)
      yield* Effect.sleep(blows.random(1000))
      const to = Date.now()
      blows.aways.push({ runner: runner.name, from, to })
      yield* comeBack
      yield* blows.cluster.whole
      blows.lags.push(Math.max(0, ...runner.shards.went.filter(([, at]) => at >= from).map(([, at]) => at - to)))
    })
  }

  /** Strikes, and waits until each shard is with one runner again. */
  strike(kind: Kind, runner = this.any()): Effect.Effect<void, NeverCame> {
    const blows = this
    const { cluster } = this
    return Effect.gen(function* () {
      blows.counts[kind] = (blows.counts[kind] ?? 0) + 1
      const { child } = runner.peer
      switch (kind) {
        case "killed":
        case "ended": {
          const had = [...runner.shards.now()]
          const at = Date.now()
          child.kill(kind === "killed" ? "SIGKILL" : "SIGTERM")
          yield* Effect.promise(() => runner.peer.ended)
          yield* blows.moved(runner, had, at)
          if (cluster.live().length < blows.least) yield* cluster.start(runner.number)
          break
        }
        case "frozen": {
          yield* blows.away(
            runner,
            Effect.sync(() => void child.kill("SIGSTOP")),
            Effect.sync(() => void child.kill("SIGCONT"))
          )
          break
        }
        case "cut off": {
          yield* blows.away(runner, runner.place.cut, runner.place.mend)
          break
        }
        case "joined": {
          const { shards } = yield* cluster.start(blows.next++)
          yield* until("shards for who joined", () => shards.now().size > 0)
          break
        }
      }
      yield* cluster.whole
    })
  }
}
