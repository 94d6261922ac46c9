// When a peer has had no room for so long, the socket is read further: its end may
// be behind more.
const millisToReadFar = 250

// For so long a peer that nobody sends anything any more is remembered.
const millisToForget = 1000

/** Whether a socket must be read for the ends of its peers to be seen, and how far. */
export type ReadAhead = "not" | "some" | "far"

/**
 * Peers that had no room when something was sent to them, whether or not anybody
 * waits for that. One that has left has none until what it had sent is read.
 */
export class Refusals {
  private readonly peers = new Map<string, { readonly since: number; last: number }>()
  private readonly onChange: (how: ReadAhead) => void
  private how: ReadAhead = "not"
  private timer: NodeJS.Timeout | undefined

  constructor(onChange: (how: ReadAhead) => void) {
    this.onChange = onChange
  }

  /** A peer had no room. */
  refused(peer: string): void {
    const now = performance.now()
    const known = this.peers.get(peer)
    if (known !== undefined) {
      known.last = now
      return
    }
    this.peers.set(peer, { since: now, last: now })
    if (this.how === "not") this.change("some")
    this.timer ??= setInterval(this.look, millisToReadFar).unref()
  }

  /** A peer had room, or has left. */
  answered(peer: string): void {
    if (this.peers.delete(peer) && this.peers.size === 0) this.end()
  }

  end(): void {
    clearInterval(this.timer)
    this.timer = undefined
    this.peers.clear()
    if (this.how !== "not") this.change("not")
  }

  get isEmpty(): boolean {
    return this.peers.size === 0
  }

  private readonly look = (): void => {
    const now = performance.now()
    for (const [peer, { last, since }] of this.peers) {
      if (now - last >= millisToForget) this.answered(peer)
      else if (now - since >= millisToReadFar && this.how === "some") this.change("far")
    }
  }

  private change(how: ReadAhead): void {
    this.how = how
    this.onChange(how)
  }
}
