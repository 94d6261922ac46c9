/** What a runner says of its shards, in lines of `shards TIME +1 -2`. */
export class Shards {
  /** Each that came to it, with when: milliseconds since 1970. */
  readonly came: Array<readonly [shard: number, at: number]> = []
  /** Each that it no longer took for its own. */
  readonly went: Array<readonly [shard: number, at: number]> = []
  private readonly had = new Set<number>()
  private read = 0
  private readonly lines: ReadonlyArray<string>

  constructor(lines: ReadonlyArray<string>) {
    this.lines = lines
  }

  now(): ReadonlySet<number> {
    this.update()
    return this.had
  }

  update(): void {
    for (; this.read < this.lines.length; this.read++) {
      const [what, time, ...changes] = this.lines[this.read]!.split(" ")
      if (what !== "shards") continue
      for (const change of changes) {
        const shard = Number(change.slice(1))
        if (change.startsWith("+")) {
          this.had.add(shard)
          this.came.push([shard, Number(time)])
        } else {
          this.had.delete(shard)
          this.went.push([shard, Number(time)])
        }
      }
    }
  }
}
