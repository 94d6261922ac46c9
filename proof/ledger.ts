/** Who saw which number. Every count of the proof comes from a ledger. */

const taken = 1
const begun = 2
const settled = 4
const found = 8

/** What became of the messages of one run. `sent = delivered + receivable + lost`. */
export interface Books {
  readonly sent: number
  /** Messages that somebody got and went on with, each counted once. */
  readonly delivered: number
  /** Handed out again after a handler or a stream gave them back. */
  readonly redelivered: number
  /** Not delivered, and still what the next receive returns. */
  readonly receivable: number
  readonly lost: number
  /** Delivered again where exactly once is promised. */
  readonly duplicated: number
  /** `null` where several fibers share the messages, so that there is no order to keep. */
  readonly outOfOrder: number | null
}

/** What a consumer tells of the texts that it gets. */
export interface Notes {
  readonly took: (text: string) => void
  readonly began: (text: string) => void
  readonly settled: (text: string) => void
}

/** Notes the numbers that a text stands for. */
export const notesOf = (
  reader: Reader,
  numbersOf: (text: string) => Iterable<number> = (text) => [Number(text)]
): Notes => {
  const each = (note: (number: number) => void) => (text: string) => {
    for (const number of numbersOf(text)) note(number)
  }
  return { took: each(reader.took), began: each(reader.began), settled: each(reader.settled) }
}

/** One who receives, with the order in which it saw messages for the first time. */
export interface Reader {
  /** A receive returned this message: exactly once. */
  readonly took: (number: number) => void
  /** A handler was given this message: it may be given it again. */
  readonly began: (number: number) => void
  /** The handler was through. */
  readonly settled: (number: number) => void
}

export class Ledger {
  sent = 0
  private readonly seen: Uint8Array
  private redelivered = 0
  private duplicated = 0
  private outOfOrder = 0
  private ordered = true
  private known = 0
  enough = false
  /** Messages that nobody here sent. */
  foreign = 0

  constructor(messages: number) {
    this.seen = new Uint8Array(messages)
  }

  /** Whether all numbers were sent, or enough of them. */
  get full(): boolean {
    return this.enough || this.sent >= this.seen.length
  }

  /** How many of the numbers sent nobody has seen yet. */
  get behind(): number {
    return this.sent - this.known
  }

  /** How many of the numbers sent nobody went on with: they have to be found at the end. */
  get missing(): number {
    const { delivered, sent } = this.books()
    return sent - delivered
  }

  /** The next number to send. */
  next(): number {
    return this.sent++
  }

  /** Several fibers share the messages. */
  unordered(): void {
    this.ordered = false
  }

  reader(): Reader {
    let last = -1
    const check = (number: number): number | undefined => {
      const flags = this.seen[number]
      if (!(number < this.sent) || flags === undefined) {
        this.foreign++
        return undefined
      }
      if (flags === 0) {
        this.known++
        if (number < last) this.outOfOrder++
        last = Math.max(last, number)
      }
      return flags
    }
    return {
      took: (number) => {
        const flags = check(number)
        if (flags === undefined) return
        if ((flags & taken) !== 0) this.duplicated++
        else if (flags !== 0) this.redelivered++
        this.seen[number] = flags | taken
      },
      began: (number) => {
        const flags = check(number)
        if (flags === undefined) return
        if ((flags & taken) !== 0) this.duplicated++
        else if (flags !== 0) this.redelivered++
        this.seen[number] = flags | begun
      },
      settled: (number) => {
        this.seen[number]! |= settled
      }
    }
  }

  /** What the next receives return when all is over. */
  foundAtEnd(numbers: Iterable<number>): void {
    let last = -1
    for (const number of numbers) {
      const flags = this.seen[number]
      if (!(number < this.sent) || flags === undefined) {
        this.foreign++
        continue
      }
      if ((flags & (taken | found)) !== 0) this.duplicated++
      else if ((flags & settled) !== 0) this.redelivered++
      if (number < last) this.outOfOrder++
      last = number
      this.seen[number] = flags | found
    }
  }

  books(): Books {
    let delivered = 0
    let receivable = 0
    let lost = 0
    for (let number = 0; number < this.sent; number++) {
      const flags = this.seen[number]!
      if ((flags & (taken | settled)) !== 0) delivered++
      else if ((flags & found) !== 0) receivable++
      else lost++
    }
    const { sent, redelivered, duplicated } = this
    const outOfOrder = this.ordered ? this.outOfOrder : null
    return { sent, delivered, redelivered, receivable, lost, duplicated, outOfOrder }
  }

  /** The first numbers that were lost, for whoever looks for the reason. */
  firstLost(most = 10): Array<number> {
    const numbers: Array<number> = []
    for (let number = 0; number < this.sent && numbers.length < most; number++) {
      if ((this.seen[number]! & (taken | settled | found)) === 0) numbers.push(number)
    }
    return numbers
  }
}
