/**
 * `runForEach` and `serve`: workers, each of which has a message until its
 * handler has dealt with it.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Semaphore from "effect/Semaphore"
import type { Message } from "../../Message.ts"
import { DecodeError } from "../../ZmqError.ts"
import { CurrentHandler } from "../currentHandler.ts"
import { microtask } from "../microtask.ts"
import { startTimer } from "../timer.ts"
import type { Lease } from "./mailbox.ts"
import { type Decode, type Lending, nothing, type ReceiveError, type Receiving } from "./receive.ts"

// Each is a fiber, from the start.
const mostWorkers = 1024

// How many messages wait for their next try while others are handled.
const mostAside = 1000

/** How handlers are run, and when that stops. */
export interface RunOptions<E = unknown, R = unknown> {
  readonly concurrency?: number | undefined
  readonly until?: Effect.Effect<unknown, E, R> | undefined
}

export interface Handling<A, E, R> extends RunOptions<E, R> {
  /** Whether no other message may be taken before the one at hand is settled. */
  readonly inTurn?: boolean | undefined
  readonly operation: string
  readonly decode: Decode<A>
  readonly timeLimit?: number | undefined
  /** How the next message is had, if in another way. */
  readonly next?:
    | ((lending: Lending<A>, run: Collecting) => Effect.Effect<A | typeof nothing, ReceiveError>)
    | undefined
}

/** A run, for those who collect messages for one handler. */
export interface Collecting {
  readonly receiving: Receiving
  /** One worker collects at a time. */
  readonly gate: Semaphore.Semaphore
  /** Calls `end` when the run is to stop. Returns what forgets that. */
  readonly onStop: (end: () => void) => () => void
}

/**
 * Runs `handler` on each message, `concurrency` of them at a time. A message
 * whose handler fails or is interrupted goes back. It succeeds when `until` has,
 * and then the handlers that ran.
 *
 * `handler` is given its worker, which can settle its message early.
 */
export const forEachMessage = <A, E, R>(
  receiving: Receiving,
  options: Handling<A, E, R>,
  handler: (value: A, worker: Worker) => Effect.Effect<unknown, E, R>
): Effect.Effect<void, ReceiveError | E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.contextWith((context: Context.Context<R>) => {
      const inTurn = options.inTurn === true
      const run = new Run<ReceiveError | E, R>(receiving, context, inTurn, (worker, run) => {
        const keep = (lease: Lease<Message>) => worker.lend(lease)
        const { settle } = worker
        const lending = receiving.lend({ ...options, keep, final: false })
        const now: typeof lending.now = options.next === undefined ? lending.now : () => nothing
        const later = options.next === undefined ? lending.later : options.next(lending, run)
        const waitAndHandle = Effect.flatMap(later, (value) =>
          value === nothing ? Effect.void : handler(value, worker)
        )
        const handleNext = (): Effect.Effect<unknown, ReceiveError | E, R> => {
          const again = run.due.length > 0 ? run.takeDue(worker) : undefined
          if (again !== undefined) return again(worker)
          const value = now()
          if (value === nothing) return waitAndHandle
          return value instanceof DecodeError ? Effect.fail(value) : handler(value, worker)
        }
        return Effect.whileLoop({ while: () => !run.isEnough, body: handleNext, step: settle })
      })
      const count = Math.min(mostWorkers, Math.max(1, Math.floor(options.concurrency ?? 1) || 1))
      const firstEnd = Effect.callback<void, ReceiveError | E>((resume) => run.begin(count, options.until, resume))
      return Effect.flatMap(Effect.exit(restore(firstEnd)), (exit) => Effect.andThen(run.end, exit))
    })
  )

/** Handles a message once more. */
type Again<E, R> = (worker: Worker) => Effect.Effect<unknown, E, R>

/** A message that waits for its next try. */
interface Aside<E, R> {
  readonly leases: ReadonlyArray<Lease<Message>>
  readonly again: Again<E, R>
  readonly stopTimer: () => void
}

/** One fiber of a run, and the message that its handler has. */
export class Worker implements CurrentHandler {
  #lease: Lease<Message> | undefined = undefined
  readonly #others: Array<Lease<Message>> = []
  // How many sends of its handler wait until one peer has room.
  private waitingSends = 0
  // Where nothing finds it that prints the services of a handler.
  readonly #run: Run<unknown, unknown>

  constructor(run: Run<unknown, unknown>) {
    this.#run = run
  }

  get lease(): Lease<Message> | undefined {
    return this.#lease
  }

  lend(lease: Lease<Message>): void {
    if (this.#lease === undefined) this.#lease = lease
    else this.#others.push(lease)
  }

  /** All that it has: more than one where messages are handled together. */
  get leases(): ReadonlyArray<Lease<Message>> {
    return this.#lease === undefined ? [] : [this.#lease, ...this.#others]
  }

  get receiving(): Receiving {
    return this.#run.receiving
  }

  /**
   * Its message waits for its next try. It is put aside for that, so that the worker
   * may go on with others, or the worker waits with it.
   */
  wait<E, R>(millis: number, again: Again<E, R>): Effect.Effect<unknown, E, R> {
    const run = this.#run as Run<E, R>
    if (run.putAside(this, millis, again)) return Effect.void
    return Effect.flatMap(run.waitBeside(millis), (goOn) => {
      if (goOn) return again(this)
      run.receiving.putBackAll(this.leases)
      this.settle()
      return Effect.void
    })
  }

  readonly settle = (): void => {
    this.#lease = undefined
    if (this.#others.length > 0) this.#others.length = 0
    // Those of fibers that its handler has left behind.
    if (this.waitingSends > 0) this.waitsNoMore()
  }

  get sends(): unknown {
    return this.receiving.inbox.held?.outbox
  }

  waits(lease: unknown): () => void {
    if (lease === undefined || lease !== this.#lease) return ignore
    if (this.waitingSends++ === 0) this.#run.changeWaiting(1)
    let ended = false
    return () => {
      if (ended || lease !== this.#lease) return
      ended = true
      if (--this.waitingSends === 0) this.waitsNoMore()
    }
  }

  private waitsNoMore(): void {
    this.waitingSends = 0
    this.#run.changeWaiting(-1)
  }
}

/** One run: its workers, which end together. */
export class Run<E, R> implements Collecting {
  readonly receiving: Receiving
  private readonly context: Context.Context<R>
  private readonly loop: (worker: Worker, run: Run<E, R>) => Effect.Effect<unknown, E, R>
  private readonly workers = new Map<Worker, Fiber.Fiber<unknown, E> | undefined>()
  private most = 0
  // Workers whose handler waits until one peer has room, and which do not count.
  private waiting = 0
  // Messages that wait for their next try, and those of them whose time has come.
  private readonly aside = new Set<Aside<E, R>>()
  readonly due: Array<Aside<E, R>> = []
  private readonly inTurn: boolean
  readonly gate = Semaphore.makeUnsafe(1)
  // What waits, and ends when the run is to stop.
  private readonly beside = new Set<() => void>()
  private ending = false
  private endedBy: number | undefined = undefined
  // How many are being started: each has begun with its first message before its fiber is known.
  private starting = 0
  // Nothing new is taken, and those who have a message finish.
  private stopping = false
  private until: Fiber.Fiber<unknown, E> | undefined = undefined
  private onEnd: (exit: Exit.Exit<void, E>) => void = ignore
  private onAllEnded: () => void = ignore

  constructor(
    receiving: Receiving,
    context: Context.Context<R>,
    inTurn: boolean,
    loop: (worker: Worker, run: Run<E, R>) => Effect.Effect<unknown, E, R>
  ) {
    this.receiving = receiving
    this.context = context
    this.inTurn = inTurn
    this.loop = loop
  }

  /** Begins, with so many workers. `onEnd` is told how the first of them failed, or that it has stopped. */
  begin(
    count: number,
    until: Effect.Effect<unknown, E, R> | undefined,
    onEnd: (exit: Exit.Exit<void, E>) => void
  ): void {
    this.most = count
    this.onEnd = onEnd
    if (until !== undefined) this.stopAfter(until)
    for (let i = 0; i < count && !this.ending && !this.stopping; i++) this.add()
  }

  /** Whether a worker that is done with a message has to end. */
  get isEnough(): boolean {
    return this.ending || this.stopping || this.workers.size - this.waiting > this.most
  }

  private stopAfter(until: Effect.Effect<unknown, E, R>): void {
    this.until = Effect.runForkWith(this.context)(until)
    this.until.addObserver((exit) => {
      if (this.ending) return
      if (exit._tag === "Failure") {
        this.ending = true
        return this.onEnd(exit)
      }
      this.stopping = true
      // Later, and not from here: a worker may be in the middle of taking a message.
      microtask(this.stop)
    })
  }

  private readonly stop = (): void => {
    if (this.ending) return
    this.onAllEnded = () => this.onEnd(Exit.void)
    for (const [worker, fiber] of this.workers) if (worker.lease === undefined) this.dismiss(worker, fiber)
    for (const end of this.beside) end()
    this.lookWhetherAllEnded()
  }

  // One that has no message.
  private dismiss(worker: Worker, fiber: Fiber.Fiber<unknown, E> | undefined): void {
    if (fiber === undefined) return
    this.workers.delete(worker)
    fiber.interruptUnsafe()
  }

  /** Puts the message of a worker aside until its next try, unless it may not be or too many are. */
  putAside(worker: Worker, millis: number, again: Again<E, R>): boolean {
    if (this.inTurn || this.aside.size >= mostAside) return false
    const aside: Aside<E, R> = {
      leases: worker.leases,
      again,
      stopTimer: startTimer(millis, () => {
        this.due.push(aside)
        microtask(this.callForDue)
      })
    }
    this.aside.add(aside)
    worker.settle()
    return true
  }

  readonly onStop = (end: () => void): (() => void) => {
    if (this.stopping) microtask(end)
    this.beside.add(end)
    return () => this.beside.delete(end)
  }

  /** Waits, and says whether to go on, and not to stop. */
  waitBeside(millis: number): Effect.Effect<boolean> {
    return Effect.callback((resume) => {
      if (this.stopping) return resume(Effect.succeed(false))
      const end = (goOn: boolean) => {
        stopTimer()
        this.beside.delete(stop)
        resume(Effect.succeed(goOn))
      }
      const stop = () => end(false)
      const stopTimer = startTimer(millis, () => end(true))
      this.beside.add(stop)
      return Effect.sync(() => {
        stopTimer()
        this.beside.delete(stop)
      })
    })
  }

  /** Gives a worker the message whose next try has been due for the longest. */
  takeDue(worker: Worker): Again<E, R> | undefined {
    const aside = this.due.shift()
    if (aside === undefined) return undefined
    this.aside.delete(aside)
    for (const lease of aside.leases) worker.lend(lease)
    return aside.again
  }

  // A worker that waits for a message is not woken by this one: another takes its place.
  private readonly callForDue = (): void => {
    if (this.ending || this.stopping || this.due.length === 0) return
    if (this.workers.size - this.waiting >= this.most) {
      for (const [worker, fiber] of this.workers) {
        if (worker.lease !== undefined || fiber === undefined) continue
        this.dismiss(worker, fiber)
        break
      }
    }
    if (this.workers.size - this.waiting < this.most) this.add()
  }

  private putBackAside(): void {
    for (const { leases, stopTimer } of this.aside) {
      stopTimer()
      this.receiving.putBackAll(leases)
    }
    this.aside.clear()
    this.due.length = 0
  }

  /** One handler more, or one less, waits until one peer has room. */
  changeWaiting(by: 1 | -1): void {
    this.waiting += by
    // Later, and not from here: it may wait again at once, and no other handler
    // must run inside an operation of this one.
    microtask(this.adjust)
  }

  private readonly adjust = (): void => {
    if (this.ending || this.stopping) return
    if (this.workers.size - this.waiting < this.most) this.add()
    // Whoever has nothing to do is not needed any more.
    for (const [worker, fiber] of this.workers) {
      if (!this.isEnough) return
      if (worker.lease === undefined) this.dismiss(worker, fiber)
    }
  }

  /**
   * Ends all workers. One that may not be interrupted is left until it may be, or
   * is done: a handler that succeeds has settled its message. Only when all have
   * ended their messages go back, as the others would handle them.
   */
  get end(): Effect.Effect<void> {
    return Effect.andThen(
      this.endWorkers,
      Effect.suspend(() => (this.until === undefined ? Effect.void : Fiber.interrupt(this.until)))
    )
  }

  private readonly endWorkers: Effect.Effect<void> = Effect.callback((resume) => {
    this.ending = true
    this.onEnd = ignore
    this.onAllEnded = () => {
      this.onAllEnded = ignore
      for (const { leases } of this.workers.keys()) this.receiving.putBackAll(leases)
      this.putBackAside()
      this.receiving.inbox.held?.releaseAll()
      resume(Effect.void)
    }
    const by = Fiber.getCurrent()!.id
    this.endedBy = by
    for (const fiber of this.workers.values()) if (fiber !== undefined) interruptWhenItMayBe(fiber, by)
    this.lookWhetherAllEnded()
  })

  private add(): void {
    const worker = new Worker(this as Run<unknown, unknown>)
    this.workers.set(worker, undefined)
    const context = Context.add(this.context, CurrentHandler, worker) as Context.Context<R>
    this.starting++
    const fiber = Effect.runForkWith(context)(this.loop(worker, this))
    this.starting--
    if (fiber.pollUnsafe() === undefined) this.workers.set(worker, fiber)
    fiber.addObserver((exit) => {
      if (!this.workers.has(worker)) return
      if (worker.lease === undefined) this.workers.delete(worker)
      else this.workers.set(worker, undefined)
      // One that ended well was one too many.
      if (exit._tag === "Success") return this.lookWhetherAllEnded()
      this.ending = true
      this.onEnd(exit as Exit.Exit<never, E>)
      this.lookWhetherAllEnded()
    })
    // The run may have been interrupted meanwhile.
    if (this.endedBy !== undefined) interruptWhenItMayBe(fiber, this.endedBy)
  }

  private lookWhetherAllEnded(): void {
    if (this.starting > 0) return
    for (const fiber of this.workers.values()) if (fiber !== undefined) return
    this.onAllEnded()
  }
}

const ignore = (): void => {}

// How often one that may not be interrupted is looked at: in each of so many turns
// of the event loop, as most may be soon, and then after longer and longer times, in milliseconds.
const turnsToLook = 4
const longest = 16

/**
 * What a handler makes within `Effect.uninterruptible` is lost where that region
 * ends if its fiber has been interrupted meanwhile: Effect drops it, though
 * the handler has succeeded. So such a fiber is not interrupted before.
 */
const interruptWhenItMayBe = (fiber: Fiber.Fiber<unknown, unknown>, by: number, looks = 0): void => {
  if (fiber.pollUnsafe() !== undefined) return
  if ((fiber as { readonly interruptible?: boolean }).interruptible !== false) return fiber.interruptUnsafe(by)
  const again = () => interruptWhenItMayBe(fiber, by, looks + 1)
  if (looks < turnsToLook) setImmediate(again)
  else setTimeout(again, Math.min(longest, 2 ** (looks - turnsToLook)))
}
