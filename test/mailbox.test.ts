import { describe, expect, it } from "vitest"
import { Line, Waiter } from "../src/internal/line.ts"
import { type Lease, Mailbox } from "../src/internal/receive/mailbox.ts"

const remove = <A>(list: Array<A>, item: A): void => {
  list.splice(list.indexOf(item), 1)
}

const fail = (sequence: ReadonlyArray<string>, what: string): never => {
  throw new Error(`${what}, after: ${sequence.join(", ")}`)
}

// -----------------------------------------------------------------------------
// a mailbox, and the simplest thing that behaves as one should
// -----------------------------------------------------------------------------

/** Lists and nothing else: what a mailbox ought to do, written down plainly. */
class Model {
  readonly newestOnly: boolean
  // messages are their numbers, so the order of arrival is their order
  queue: Array<number> = []
  line: Array<number> = []
  woken: Array<number> = []
  lent: Array<number> = []
  wakeUps: Array<number> = []
  failures: Array<number> = []
  taken: Array<number> = []
  // replaced by a newer one, as `newestOnly` wants
  replaced: Array<number> = []
  arrivals = 0
  waiters = 0
  closed = false

  constructor(newestOnly: boolean) {
    this.newestOnly = newestOnly
  }

  get available(): number {
    return this.queue.length - this.woken.length
  }

  arrive(): void {
    if (this.newestOnly) this.replaced.push(...this.queue.splice(0))
    this.queue.push(this.arrivals++)
  }

  announce(): void {
    while (this.line.length > 0 && this.available > 0) {
      const waiter = this.line.shift()!
      this.woken.push(waiter)
      this.wakeUps.push(waiter)
    }
  }

  leave(waiter: number): void {
    if (this.line.includes(waiter)) return remove(this.line, waiter)
    remove(this.woken, waiter)
    this.announce()
  }

  take(): number {
    const message = this.queue.shift()!
    this.taken.push(message)
    return message
  }

  lend(): number {
    const message = this.queue.shift()!
    this.lent.push(message)
    return message
  }

  putBack(message: number): void {
    remove(this.lent, message)
    if (this.newestOnly && this.queue.length > 0) {
      this.replaced.push(message)
      return
    }
    this.queue.push(message)
    this.queue.sort((a, b) => a - b)
    this.announce()
  }

  close(): void {
    this.closed = true
    this.failures.push(...this.line.splice(0))
  }
}

/** The same for the real one, so that a sequence of steps can be played on both. */
class Subject {
  readonly mailbox: Mailbox<number>
  readonly waiters: Array<Waiter> = []
  readonly wakeUps: Array<number> = []
  readonly failures: Array<number> = []
  readonly lent: Array<Lease<number>> = []

  constructor(newestOnly: boolean) {
    this.mailbox = new Mailbox(newestOnly)
  }

  wait(): void {
    const number = this.waiters.length
    const waiter = new Waiter(
      () => this.wakeUps.push(number),
      () => this.failures.push(number)
    )
    this.waiters.push(waiter)
    this.mailbox.wait(waiter)
  }
}

interface Step {
  readonly name: string
  readonly enabled: (model: Model) => boolean
  readonly model: (model: Model) => void
  /** Does it to the mailbox. Returns the message it got. */
  readonly subject: (subject: Subject, before: Model) => number | undefined
  readonly expected?: (model: Model) => number
}

const first = <A>(list: ReadonlyArray<A>): A => list[0]!
const last = <A>(list: ReadonlyArray<A>): A => list[list.length - 1]!

const leaveStep = (
  name: string,
  list: (model: Model) => ReadonlyArray<number>,
  pick: typeof first,
  least: number
): Step => {
  return {
    name,
    enabled: (model) => list(model).length >= least,
    model: (model) => model.leave(pick(list(model))),
    subject: (subject, before) => {
      subject.mailbox.leave(subject.waiters[pick(list(before))]!)
      return undefined
    }
  }
}

const claimStep = (name: string, pick: typeof first, least: number, how: "take" | "lend"): Step => ({
  name,
  enabled: (model) => model.woken.length >= least,
  model: (model) => {
    remove(model.woken, pick(model.woken))
    model[how]()
  },
  subject: (subject, before) => {
    const { mailbox } = subject
    mailbox.claim(subject.waiters[pick(before.woken)]!)
    if (how === "take") return mailbox.take()
    const lease = mailbox.lend()
    subject.lent.push(lease)
    return lease.message
  },
  expected: (before) => first(before.queue)
})

const putBackStep = (name: string, pick: typeof first, least: number): Step => ({
  name,
  enabled: (model) => model.lent.length >= least,
  model: (model) => model.putBack(pick(model.lent)),
  subject: (subject, before) => {
    const lease = subject.lent.find((lease) => lease.message === pick(before.lent))!
    remove(subject.lent, lease)
    subject.mailbox.putBack(lease)
    return undefined
  }
})

const waiting = (model: Model) => model.line
const woken = (model: Model) => model.woken

const steps: ReadonlyArray<Step> = [
  {
    name: "arrive",
    enabled: () => true,
    model: (model) => model.arrive(),
    subject: (subject, before) => void subject.mailbox.arrive(before.arrivals) as undefined
  },
  {
    name: "announce",
    enabled: (model) => model.available > 0 && model.line.length > 0,
    model: (model) => model.announce(),
    subject: (subject) => void subject.mailbox.announce() as undefined
  },
  {
    name: "wait",
    enabled: (model) => model.available === 0 && !model.closed,
    model: (model) => void model.line.push(model.waiters++),
    subject: (subject) => void subject.wait() as undefined
  },
  claimStep("claim and take, the first woken", first, 1, "take"),
  claimStep("claim and take, the last woken", last, 2, "take"),
  claimStep("claim and lend, the first woken", first, 1, "lend"),
  leaveStep("leave, the first waiting", waiting, first, 1),
  leaveStep("leave, the last waiting", waiting, last, 2),
  leaveStep("leave, the first woken", woken, first, 1),
  leaveStep("leave, the last woken", woken, last, 2),
  {
    name: "take",
    // who waits comes first
    enabled: (model) => model.available > 0 && model.line.length === 0,
    model: (model) => void model.take(),
    subject: (subject) => subject.mailbox.take(),
    expected: (before) => first(before.queue)
  },
  {
    name: "lend",
    enabled: (model) => model.available > 0 && model.line.length === 0,
    model: (model) => void model.lend(),
    subject: (subject) => {
      const lease = subject.mailbox.lend()
      subject.lent.push(lease)
      return lease.message
    },
    expected: (before) => first(before.queue)
  },
  putBackStep("put back, the first lent", first, 1),
  putBackStep("put back, the last lent", last, 2),
  {
    name: "close",
    enabled: (model) => !model.closed,
    model: (model) => model.close(),
    subject: (subject) => void subject.mailbox.close() as undefined
  }
]

// After these nobody waits for a message that is there.
const announcing: ReadonlySet<string> = new Set([
  "announce",
  "leave, the first woken",
  "leave, the last woken",
  "put back, the first lent",
  "put back, the last lent"
])

const same = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): boolean =>
  a.length === b.length && a.every((value, index) => value === b[index])

const names = (sequence: ReadonlyArray<Step>) => sequence.map((step) => step.name)

/** Plays a sequence on a new mailbox and a new model, and compares them at each step. */
const play = (sequence: ReadonlyArray<Step>, newestOnly: boolean): Model => {
  const model = new Model(newestOnly)
  const subject = new Subject(newestOnly)
  const { mailbox } = subject
  for (const step of sequence) {
    const expected = step.expected?.(model)
    // What is put back into a mailbox of the newest only may just be dropped.
    const announces = announcing.has(step.name) && !(newestOnly && model.queue.length > 0)
    const got = step.subject(subject, model)
    step.model(model)
    const wrong =
      got !== expected
        ? `got message ${got} and not ${expected}`
        : mailbox.size !== model.queue.length
          ? `holds ${mailbox.size} and not ${model.queue.length} messages`
          : model.line.length === 0 && mailbox.available !== model.available
            ? `has ${mailbox.available} and not ${model.available} messages available`
            : mailbox.available < 0
              ? "promised more messages than there are"
              : mailbox.wanted !== model.line.length > 0
                ? `wanted is ${mailbox.wanted}`
                : !same(subject.wakeUps, model.wakeUps)
                  ? `woke ${subject.wakeUps} and not ${model.wakeUps}`
                  : !same(subject.failures, model.failures)
                    ? `failed ${subject.failures} and not ${model.failures}`
                    : announces && mailbox.wanted && mailbox.available > 0
                      ? "someone waits and a message lies unannounced"
                      : undefined
    if (wrong !== undefined) fail(names(sequence), wrong)
  }
  // Conservation: each message once, and what is left comes out in order.
  const left: Array<number> = []
  while (mailbox.size > 0) left.push(mailbox.take())
  const all = [...model.taken, ...model.lent, ...model.replaced, ...left].sort((a, b) => a - b)
  if (!same(left, model.queue)) fail(names(sequence), `${left} are left and not ${model.queue}`)
  if (!same(all, [...Array(model.arrivals).keys()])) fail(names(sequence), `of ${model.arrivals} messages, ${all}`)
  return model
}

/** Plays all sequences of `length` steps. Returns how many those were. */
const playAll = (length: number, newestOnly: boolean): number => {
  let count = 0
  const sequence: Array<Step> = []
  const extend = (model: Model): void => {
    for (const step of steps) {
      if (!step.enabled(model)) continue
      sequence.push(step)
      if (sequence.length === length) {
        play(sequence, newestOnly)
        count++
      } else {
        const next = new Model(newestOnly)
        for (const done of sequence) done.model(next)
        extend(next)
      }
      sequence.pop()
    }
  }
  extend(new Model(newestOnly))
  return count
}

describe("Mailbox", () => {
  it("does what the model does, in all sequences of 10 steps", () => {
    expect(playAll(10, false)).toBeGreaterThan(400_000)
  })

  it("does what the model does when it keeps the newest only, in all sequences of 10 steps", () => {
    expect(playAll(10, true)).toBeGreaterThan(250_000)
  })

  it("drops what nobody was promised, and no more", () => {
    const subject = new Subject(false)
    const { mailbox } = subject
    subject.wait()
    mailbox.arrive(1)
    mailbox.arrive(2)
    mailbox.arrive(3)
    mailbox.announce()
    expect(mailbox.clear()).toBe(2)
    expect(subject.wakeUps).toEqual([0])
    mailbox.claim(subject.waiters[0]!)
    expect(mailbox.size).toBe(1)
    expect(mailbox.clear()).toBe(1)
  })
})

// -----------------------------------------------------------------------------
// waiters that act while they are being woken
// -----------------------------------------------------------------------------

// A fiber goes on as it is woken, in the midst of `announce`, and may do
// anything that a fiber may do.
const reactions = {
  "goes on later": () => {},
  "takes its message": (table: Table, me: number) => table.claim(me),
  "takes its message and waits again": (table: Table, me: number) => {
    table.claim(me)
    table.receive(me)
  },
  leaves: (table: Table, me: number) => table.leave(me),
  "leaves and waits again": (table: Table, me: number) => {
    table.leave(me)
    table.receive(me)
  },
  "makes the next one leave": (table: Table, me: number) => table.leave((me + 1) % table.places.length),
  "makes the one before leave": (table: Table, me: number) =>
    table.leave((me + table.places.length - 1) % table.places.length),
  "takes what is there for anybody": (table: Table) => table.takeAvailable(),
  "takes its message and puts it back": (table: Table, me: number) => {
    table.settled(me)
    table.mailbox.claim(table.places[me]!)
    table.mailbox.putBack(table.mailbox.lend())
  },
  "has another one arrive": (table: Table) => {
    table.mailbox.arrive(table.arrivals++)
    table.mailbox.announce()
  }
} as const
type Reaction = keyof typeof reactions

/** Those who wait, each of whom reacts in its own way when it is woken for the first time. */
class Table {
  readonly mailbox = new Mailbox<number>()
  readonly places: Array<Waiter> = []
  readonly taken: Array<number> = []
  arrivals = 0
  private readonly how: ReadonlyArray<Reaction>
  readonly wokenOnce = new Set<number>()
  readonly gone = new Set<number>()
  private readonly expecting = new Set<number>()

  constructor(how: ReadonlyArray<Reaction>) {
    this.how = how
    for (let me = 0; me < how.length; me++) this.receive(me)
  }

  /** Waits, or takes what is there. */
  receive(me: number): void {
    const waiter = new Waiter(
      () => this.woken(me, waiter),
      () => {}
    )
    if (this.mailbox.available > 0) return void this.taken.push(this.mailbox.take())
    this.places[me] = waiter
    this.expecting.add(me)
    this.mailbox.wait(waiter)
  }

  private woken(me: number, waiter: Waiter): void {
    if (!this.expecting.has(me) || this.places[me] !== waiter) throw new Error(`${me} was woken and did not wait`)
    if (waiter.state !== "woken") throw new Error(`${me} was woken and is ${waiter.state}`)
    this.expecting.delete(me)
    if (this.wokenOnce.has(me)) return
    this.wokenOnce.add(me)
    reactions[this.how[me]!](this, me)
  }

  settled(me: number): void {
    this.expecting.delete(me)
  }

  claim(me: number): void {
    this.settled(me)
    this.mailbox.claim(this.places[me]!)
    this.taken.push(this.mailbox.take())
  }

  leave(me: number): void {
    this.settled(me)
    this.gone.add(me)
    this.mailbox.leave(this.places[me]!)
  }

  takeAvailable(): void {
    if (this.mailbox.available > 0) this.taken.push(this.mailbox.take())
  }

  /** All who were woken and have done nothing yet take what they were promised. */
  finish(): void {
    for (const place of this.places) {
      if (place.state !== "woken") continue
      this.mailbox.claim(place)
      this.taken.push(this.mailbox.take())
    }
  }
}

describe("Mailbox, when those who are woken act at once", () => {
  it("keeps its promises in all combinations of 3 waiters and up to 4 messages", () => {
    const all = Object.keys(reactions) as Array<Reaction>
    let count = 0
    for (const a of all) {
      for (const b of all) {
        for (const c of all) {
          for (let messages = 1; messages <= 4; messages++) {
            const story = [a, b, c, `${messages} messages`]
            const table = new Table([a, b, c])
            const { mailbox } = table
            for (let i = 0; i < messages; i++) mailbox.arrive(table.arrivals++)
            mailbox.announce()
            if (mailbox.available < 0) fail(story, "promised more messages than there are")
            if (mailbox.wanted && mailbox.available > 0) fail(story, "someone waits and a message lies unannounced")
            // First come, first served: for these there was a message.
            for (let me = 0; me < Math.min(messages, 3); me++) {
              if (!table.wokenOnce.has(me) && !table.gone.has(me)) fail(story, `${me} was passed over`)
            }
            table.finish()
            if (mailbox.wanted && mailbox.available > 0) fail(story, "someone waits and a message lies unannounced")
            if (mailbox.available !== mailbox.size) fail(story, "a message is promised to nobody")
            const left: Array<number> = []
            while (mailbox.size > 0) left.push(mailbox.take())
            const got = [...table.taken, ...left]
            if (!same(got, [...Array(table.arrivals).keys()])) fail(story, `of ${table.arrivals} messages, ${got}`)
            count++
          }
        }
      }
    }
    expect(count).toBe(all.length ** 3 * 4)
  })
})

// -----------------------------------------------------------------------------
// a line
// -----------------------------------------------------------------------------

describe("Line", () => {
  it("is a list with two ends, in all sequences of 8 steps", () => {
    let count = 0
    const names = [
      "join",
      "rejoin",
      "call",
      "leave first",
      "leave middle",
      "leave last",
      "join again",
      "close"
    ] as const
    const playLine = (sequence: ReadonlyArray<(typeof names)[number]>): boolean => {
      const line = new Line()
      const made: Array<Waiter> = []
      const failed: Array<Waiter> = []
      let list: Array<Waiter> = []
      let called: Waiter | undefined
      const make = (): Waiter => {
        const waiter: Waiter = new Waiter(
          () => {},
          () => failed.push(waiter)
        )
        made.push(waiter)
        return waiter
      }
      const leave = (waiter: Waiter): void => {
        line.leave(waiter)
        list = list.filter((other) => other !== waiter)
        if (waiter.state !== "gone") fail(sequence, "one who left is not gone")
      }
      for (const step of sequence) {
        switch (step) {
          case "join": {
            const waiter = make()
            line.join(waiter)
            list.push(waiter)
            break
          }
          case "rejoin": {
            // one who was called, or anybody
            const waiter = called ?? make()
            called = undefined
            line.rejoin(waiter)
            list.unshift(waiter)
            break
          }
          case "join again": {
            if (called === undefined) return false
            line.join(called)
            list.push(called)
            called = undefined
            break
          }
          case "call": {
            if (called !== undefined) return false
            called = line.call()
            if (called !== list.shift()) fail(sequence, "called somebody else")
            if (called !== undefined && called.state !== "woken") fail(sequence, "one who was called is not woken")
            break
          }
          case "leave first":
            if (list.length < 1) return false
            leave(list[0]!)
            break
          case "leave middle":
            if (list.length < 3) return false
            leave(list[1]!)
            break
          case "leave last":
            if (list.length < 2) return false
            leave(list[list.length - 1]!)
            break
          case "close":
            if (list.length < 1) return false
            line.close()
            if (failed.length !== list.length || failed.some((waiter, index) => waiter !== list[index])) {
              fail(sequence, "failed somebody else")
            }
            list = []
            failed.length = 0
            break
        }
        if (line.isEmpty !== (list.length === 0)) fail(sequence, "is empty, or not")
        for (const waiter of made) {
          const state = list.includes(waiter) ? "waiting" : waiter === called ? "woken" : "gone"
          if (waiter.state !== state) fail(sequence, `one is ${waiter.state} and not ${state}`)
        }
      }
      const rest: Array<Waiter | undefined> = []
      for (let waiter = line.call(); waiter !== undefined; waiter = line.call()) rest.push(waiter)
      if (rest.length !== list.length || rest.some((waiter, index) => waiter !== list[index])) {
        fail(sequence, "is in another order")
      }
      count++
      return true
    }
    const extend = (sequence: Array<(typeof names)[number]>): void => {
      for (const name of names) {
        sequence.push(name)
        if (playLine(sequence) && sequence.length < 8) extend(sequence)
        sequence.pop()
      }
    }
    extend([])
    expect(count).toBeGreaterThan(200_000)
  })

  it("calls those who wait when one who is failed lets another one leave", () => {
    const line = new Line()
    const failed: Array<number> = []
    const waiters: Array<Waiter> = [0, 1, 2].map(
      (number) =>
        new Waiter(
          () => {},
          () => {
            failed.push(number)
            if (number === 0) line.leave(waiters[1]!)
          }
        )
    )
    for (const waiter of waiters) line.join(waiter)
    line.close()
    expect(failed).toEqual([0, 2])
    expect(line.isEmpty).toBe(true)
  })
})
