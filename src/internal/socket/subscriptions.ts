/**
 * Subscriptions, each of which ends once. A topic stays subscribed until the
 * last of them has ended. Publishers are told of the first alone: libzmq would
 * tell them of each, and only of one end, so that they could not count.
 */
export class Subscriptions {
  private readonly apply: (topic: Buffer, on: boolean) => void
  private readonly live = new Map<string, Array<symbol>>()

  has(topic: Buffer): boolean {
    return this.live.has(topic.toString("latin1"))
  }

  constructor(apply: (topic: Buffer, on: boolean) => void) {
    this.apply = apply
  }

  add(topic: Buffer): symbol {
    const token = Symbol()
    const key = topic.toString("latin1")
    const tokens = this.live.get(key)
    if (tokens !== undefined) tokens.push(token)
    else {
      this.apply(topic, true)
      this.live.set(key, [token])
    }
    return token
  }

  /** Ends the given subscription, or else the newest, unless it has ended before. */
  remove(topic: Buffer, token?: symbol): void {
    const key = topic.toString("latin1")
    const tokens = this.live.get(key) ?? []
    const at = token === undefined ? tokens.length - 1 : tokens.lastIndexOf(token)
    if (at < 0) return
    if (tokens.length > 1) return void tokens.splice(at, 1)
    this.live.delete(key)
    this.apply(topic, false)
  }
}
