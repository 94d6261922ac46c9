import type { Lane } from "../engine.ts"
import type { NativeSocket } from "./native.ts"

// While no peer has room one is tried all the same, now and then: that it has
// left shows only then.
const looksPerTry = 25

// When some peer has room it may be another. A try that fails costs as much as
// thirty messages: so a lane that failed waits for more looks, up to so many. Of
// many lanes each waits longer, but its peer's end is seen within a second.
const mostLooks = 5
const mostLooksOfMany = 25
const lanesPerLook = 50

/** A lane that somebody waits for. */
interface Full {
  /** Whether it was said that they may try, and no answer is known yet. */
  told: boolean
  /** Looks since it was tried, and how many it waits for. */
  looks: number
  patience: number
}

/**
 * The lanes in which somebody waits for room, the longest first. libzmq does not
 * tell which peer has some: so one look, now and then, serves all lanes, and those
 * who wait try.
 */
export class Rooms {
  private readonly native: NativeSocket
  private readonly byPeer: boolean
  private readonly onRoom: (lane: Lane) => void
  private readonly lanes = new Map<Lane, Full>()
  // Of those how many wait for a look.
  private waiting = 0
  private looking = false
  private closed = false

  constructor(native: NativeSocket, byPeer: boolean, onRoom: (lane: Lane) => void) {
    this.native = native
    this.byPeer = byPeer
    this.onRoom = onRoom
  }

  /** Whether nobody waits. */
  get isEmpty(): boolean {
    return this.lanes.size === 0
  }

  /** Somebody waits for room in a lane, or waits again, having tried for nothing. */
  await(lane: Lane): void {
    const known = this.lanes.get(lane)
    if (this.closed || known?.told === false) return
    const patience = known !== undefined && this.byPeer ? Math.min(this.mostPatience, known.patience * 2) : 1
    this.lanes.delete(lane)
    this.lanes.set(lane, { told: false, looks: 0, patience })
    this.waiting++
    this.look()
  }

  /** Something was sent in a lane, or cannot be. */
  answered(lane: Lane): void {
    const known = this.lanes.get(lane)
    if (known?.told === true) known.patience = 1
  }

  /** Nobody waits for it any more. */
  forgo(lane: Lane): void {
    if (this.lanes.get(lane)?.told === false) this.waiting--
    this.lanes.delete(lane)
  }

  close(): void {
    this.closed = true
    this.lanes.clear()
    this.waiting = 0
  }

  private get mostPatience(): number {
    return Math.min(mostLooksOfMany, Math.max(mostLooks, this.lanes.size >> 1))
  }

  private look(): void {
    if (this.looking || this.waiting === 0) return
    this.looking = true
    this.native.room().then((mayBe) => {
      this.looking = false
      const due: Array<[Lane, Full]> = []
      for (const entry of this.lanes) {
        const full = entry[1]
        if (!full.told && ++full.looks >= (mayBe ? full.patience : looksPerTry)) due.push(entry)
      }
      // Those first that were full for the shortest time: they are the likeliest to have room.
      if (due.length > lanesPerLook) due.sort(([, a], [, b]) => a.patience - b.patience).length = lanesPerLook
      for (const [lane, full] of due) {
        if (full.told || this.lanes.get(lane) !== full) continue
        full.told = true
        this.waiting--
        this.onRoom(lane)
      }
      this.look()
    })
  }
}
