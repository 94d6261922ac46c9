// What a queue keeps room for when it is empty.
const usual = 1024

/**
 * First in, first out: an array that is used again when it is empty, as it is after each
 * burst. Each message passes two of them, and with `MutableList` of effect that took 5 % of a receive.
 */
export class Queue<A> {
  private items: Array<A | undefined> = []
  private first = 0
  private end = 0

  get length(): number {
    return this.end - this.first
  }

  append(item: A): void {
    this.items[this.end++] = item
  }

  /** The next. Only while there is one. */
  take(): A {
    const item = this.items[this.first] as A
    this.items[this.first++] = undefined
    if (this.first === this.end) this.clear()
    return item
  }

  clear(): void {
    if (this.length > 0 || this.items.length > usual) this.items = []
    this.first = 0
    this.end = 0
  }
}
