/**
 * Generated sequences of everything that can happen, in any order, against a
 * model of a few lines: first the mailbox by itself, then a socket over a
 * scripted port, and then real sockets in threads that end. A failure is shrunk, and printed with a token to replay it.
 */
import { expect, it } from "@effect/vitest"
import { Arbitrary, Data, Effect, Exit, Fiber, Schema, type Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Zmq } from "effect-zmq"
import { Waiter } from "../src/internal/line.ts"
import { type Lease, Mailbox } from "../src/internal/receive/mailbox.ts"
import { runScript } from "./support/child.ts"
import { openScripted, turns } from "./support/scripted.ts"

/** `MODEL_SEED=7 vitest run test/model.test.ts` runs the sequences of seed 7 again. */
const seed = Number(process.env.MODEL_SEED ?? Date.now())
const runs = Number(process.env.MODEL_RUNS ?? 100_000)

const between = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

/** Commands of the given names, the earlier ones as the simpler; each with a number to choose by. */
const commandsOf = <const Names extends ReadonlyArray<string>>(names: Names, most: number) => {
  const command = Arbitrary.map(
    Arbitrary.all([between(0, names.length - 1), between(0, 7)]),
    ([name, choice]): readonly [Names[number], number] => [names[name]!, choice]
  )
  return Arbitrary.array(command, { maxLength: most })
}

class Broken extends Data.TaggedError("Broken")<{ readonly rule: string }> {
  override get message(): string {
    return this.rule
  }
}

const must = (holds: boolean, rule: string): void => {
  if (!holds) throw new Broken({ rule })
}

const asBroken = (error: unknown): Broken =>
  error instanceof Broken ? error : new Broken({ rule: error instanceof Error ? String(error.stack) : String(error) })

const passes = <A>(
  name: string,
  arbitrary: Arbitrary.Arbitrary<A>,
  property: (value: A) => Effect.Effect<void, Broken>,
  options: { readonly runs: number; readonly size: number }
) =>
  Effect.gen(function* () {
    const result = yield* Arbitrary.checkEffect(arbitrary, (value) => Effect.as(property(value), true), {
      ...options,
      seed,
      maxShrinks: 2000
    })
    console.log(`${name}: ${options.runs} sequences, seed ${seed}`)
    expect(Arbitrary.formatCheckFailure(result)).toBeUndefined()
  })

// -----------------------------------------------------------------------------
// the mailbox
// -----------------------------------------------------------------------------

/** What a mailbox is: numbers in order, and a line of waiters to which they are promised. */
class MailboxModel {
  held: Array<number> = []
  line: Array<number> = []
  woken: Array<number> = []

  arrive(number: number): void {
    this.held.push(number)
    this.held.sort((a, b) => a - b)
  }
  announce(): void {
    while (this.line.length > 0 && this.held.length > this.woken.length) this.woken.push(this.line.shift()!)
  }
  leave(waiter: number): void {
    this.line = this.line.filter((other) => other !== waiter)
    this.woken = this.woken.filter((other) => other !== waiter)
    this.announce()
  }
}

const mailboxCommands = commandsOf(
  ["arrive", "receive", "lend", "claim", "claimLent", "leave", "putBack", "settle", "clear", "close"],
  40
)

const runMailbox = (commands: ReadonlyArray<readonly [string, number]>): void => {
  const mailbox = new Mailbox<number>()
  const model = new MailboxModel()
  const waiters: Array<Waiter> = []
  const woken: Array<number> = []
  const failed: Array<number> = []
  const got: Array<number> = []
  let lent: Array<Lease<number>> = []
  let cleared = 0
  let arrived = 0

  const took = (number: number): void => {
    must(number === model.held.shift(), `${number} was taken before its turn`)
    got.push(number)
  }
  const borrow = (lease: Lease<number>): void => {
    must(lease.message === model.held.shift(), `${lease.message} was lent before its turn`)
    lent.push(lease)
  }
  const wait = (): void => {
    const id = waiters.length
    const waiter = new Waiter(
      () => woken.push(id),
      () => failed.push(id)
    )
    waiters.push(waiter)
    model.line.push(id)
    mailbox.wait(waiter)
  }
  const pick = <A>(from: ReadonlyArray<A>, choice: number): A | undefined => from[choice % from.length]

  for (const [command, choice] of commands) {
    switch (command) {
      case "arrive":
        // A burst arrives, and is announced at its end.
        for (let i = choice % 3; i >= 0; i--) {
          mailbox.arrive(arrived)
          model.arrive(arrived++)
        }
        mailbox.announce()
        model.announce()
        break
      case "receive":
        if (mailbox.available > 0) took(mailbox.take())
        else if (!mailbox.closed) wait()
        break
      case "lend":
        if (mailbox.available > 0) borrow(mailbox.lend())
        break
      case "claim":
      case "claimLent": {
        const id = pick(model.woken, choice)
        if (id === undefined) break
        must(mailbox.size > 0, "a waiter was woken and there is no message")
        model.woken = model.woken.filter((other) => other !== id)
        mailbox.claim(waiters[id]!)
        if (command === "claim") took(mailbox.take())
        else borrow(mailbox.lend())
        break
      }
      case "leave": {
        // Interrupted or timed out, while waiting or when already woken.
        const id = pick([...model.line, ...model.woken], choice)
        if (id === undefined) break
        model.leave(id)
        mailbox.leave(waiters[id]!)
        break
      }
      case "putBack":
      case "settle": {
        const lease = pick(lent, choice)
        if (lease === undefined) break
        lent = lent.filter((other) => other !== lease)
        if (command === "settle") {
          got.push(lease.message)
          break
        }
        model.arrive(lease.message)
        model.announce()
        mailbox.putBack(lease)
        break
      }
      case "clear":
        if (choice > 0) break
        cleared += mailbox.clear()
        model.held = model.held.slice(model.held.length - model.woken.length)
        break
      case "close":
        if (choice > 1) break
        mailbox.close()
        must(
          model.line.every((id) => failed.includes(id)),
          "a waiter was left waiting when the mailbox closed"
        )
        model.line = []
        break
    }
    must(mailbox.size === model.held.length, `it holds ${mailbox.size}, and ${model.held.length} should be there`)
    must(mailbox.available === model.held.length - model.woken.length, "it promised a message to nobody")
    must(!mailbox.wanted || mailbox.available === 0, "someone waits for a message that is there")
    must(mailbox.wanted === model.line.length > 0, "someone is missing in the line")
    must(
      model.woken.every((id) => woken.includes(id)),
      "one who was promised a message was not woken"
    )
    must(
      woken.every((id, at) => at === 0 || id > woken[at - 1]!),
      "waiters were not woken in the order they came"
    )
  }
  for (const id of [...model.line, ...model.woken]) mailbox.leave(waiters[id]!)
  for (const lease of lent) mailbox.putBack(lease)
  let last = -1
  while (mailbox.available > 0) {
    const number = mailbox.take()
    must(number > last, "what is left is out of order")
    last = number
    got.push(number)
  }
  must(new Set(got).size === got.length, "a message was delivered twice")
  must(got.length + cleared === arrived, `${arrived} arrived, ${got.length} were delivered and ${cleared} cleared`)
}

const sequencesOfSockets = Math.floor(runs / 10)
const sequencesOfMailboxes = runs - sequencesOfSockets

it.live(
  "a mailbox is a queue with a line of waiters",
  () =>
    passes("mailbox", mailboxCommands, (commands) => Effect.try({ try: () => runMailbox(commands), catch: asBroken }), {
      runs: sequencesOfMailboxes,
      size: 40
    }),
  120_000
)

// -----------------------------------------------------------------------------
// a socket over a scripted port
// -----------------------------------------------------------------------------

const socketCommands = commandsOf(
  [
    "arrive",
    "receive",
    "receiveTimed",
    "receiveLimited",
    "stream",
    "runForEach",
    "tryRecv",
    "drain",
    "goOn",
    "interrupt",
    "pass",
    "send",
    "sendTimed",
    "makeRoom",
    "turn",
    "falseAlarm",
    "again",
    "close"
  ],
  24
)

type Commands = ReadonlyArray<readonly [string, number]>

/** Every message is somewhere, once; and every send has the fate it was said to have. */
const runSocket = (commands: Commands, admission: "writable" | "ask"): Effect.Effect<void, Broken, Scope.Scope> =>
  Effect.gen(function* () {
    const { port, socket } = yield* openScripted(Zmq.dealer(), { admission, room: 1 })
    const handed = new Set<string>()
    const settled = new Set<string>()
    const seen = new Set<string>()
    const receivers: Array<Fiber.Fiber<unknown, unknown>> = []
    const sends = new Map<string, Fiber.Fiber<void, unknown>>()
    const handlers: Array<() => void> = []
    let arrived = 0

    const see = (text: string): void => {
      // First sights are in order; what was put back is seen again.
      const number = Number(text)
      if (!seen.has(text)) for (let n = 0; n < number; n++) must(seen.has(String(n)), `${number} came before ${n}`)
      seen.add(text)
    }
    const hand = (text: string): void => {
      must(!handed.has(text), `${text} was handed over twice`)
      handed.add(text)
    }
    const recv = Effect.map(socket.recvString, (text) => {
      see(text)
      return text
    })
    const handle = (text: string): Effect.Effect<void> =>
      Effect.callback<void>((resume) => {
        see(text)
        must(!handed.has(text), `${text} was lent when it had been handed over`)
        handlers.push(() => resume(Effect.sync(() => void settled.add(text))))
      })
    const fork = (self: Effect.Effect<unknown, unknown>) =>
      Effect.map(Effect.forkChild(self), (fiber) => void receivers.push(fiber))

    for (const [command, choice] of commands) {
      switch (command) {
        case "arrive":
          for (let i = choice % 4; i >= 0; i--) port.arrive(String(arrived++))
          break
        case "receive":
          yield* fork(Effect.map(recv, hand))
          break
        case "receiveTimed":
          yield* fork(Effect.map(Effect.timeout(recv, "10 millis"), hand))
          break
        case "receiveLimited":
          // A rival that may win or lose: the books are kept either way.
          yield* fork(
            Effect.map(Effect.raceFirst(recv, Effect.as(Effect.sleep("5 millis"), undefined)), (text) => {
              if (text !== undefined) hand(text)
            })
          )
          break
        case "stream":
          yield* fork(Stream.runForEach(socket.strings, handle))
          break
        case "runForEach":
          yield* fork(socket.runForEach(([frame]) => handle(frame.toString()), { concurrency: 1 + (choice % 2) }))
          break
        case "tryRecv":
          yield* fork(
            Effect.map(socket.tryRecv, (message) => {
              if (message._tag === "None") return
              see(message.value[0].toString())
              hand(message.value[0].toString())
            })
          )
          break
        case "drain":
          yield* fork(
            Effect.map(socket.drain, (messages) => {
              for (const [frame] of messages) {
                see(frame.toString())
                hand(frame.toString())
              }
            })
          )
          break
        case "goOn":
          handlers.splice(choice % Math.max(1, handlers.length), 1)[0]?.()
          break
        case "interrupt": {
          const all = [...receivers, ...sends.values()].filter((fiber) => fiber.pollUnsafe() === undefined)
          const fiber = all[choice % Math.max(1, all.length)]
          if (fiber !== undefined) yield* Fiber.interrupt(fiber)
          break
        }
        case "pass":
          yield* TestClock.adjust(choice * 2)
          break
        case "send":
        case "sendTimed": {
          const name = `s${sends.size}`
          const send = socket.send(name)
          const limited = Effect.timeout(send, "6 millis")
          sends.set(name, yield* Effect.forkChild(command === "send" ? send : limited))
          break
        }
        case "makeRoom":
          port.giveRoom(1 + (choice % 2))
          break
        case "falseAlarm":
          if (port.isWaiting) port.endWait()
          break
        case "again":
          if (port.isReceiving) port.failReceive("EAGAIN")
          break
        case "close":
          if (choice === 0) port.failReceive("ETERM")
          break
        case "turn":
          break
      }
      if (choice % 2 === 0) yield* Effect.promise(() => turns(1))
    }

    yield* Effect.promise(() => turns(2))
    yield* Fiber.interruptAll(receivers)
    yield* Fiber.interruptAll(sends.values())
    // A defect of a fiber is a rule that was broken inside it.
    for (const fiber of [...receivers, ...sends.values()]) {
      const exit = yield* Fiber.await(fiber)
      if (Exit.isFailure(exit)) {
        for (const reason of exit.cause.reasons) if (reason._tag === "Die") return yield* Effect.die(reason.defect)
      }
    }
    // A handler that was interrupted is not one that settles.
    const rest: Array<string> = []
    for (let quiet = 0; quiet < 2; quiet++) {
      const more = yield* Effect.orElseSucceed(socket.drain, () => [])
      if (more.length > 0) quiet = -1
      rest.push(...more.map(([frame]) => frame.toString()))
    }
    for (const text of rest) must(!handed.has(text), `${text} was handed over, and is there again`)
    for (let i = 1; i < rest.length; i++) must(Number(rest[i]) > Number(rest[i - 1]), "what is left is out of order")
    const somewhere = new Set([...handed, ...settled, ...rest])
    for (let n = 0; n < port.handedOver; n++) must(somewhere.has(port.offered[n]!), `${n} is lost`)

    const told = [...sends].filter(([, fiber]) => Exit.isSuccess(fiber.pollUnsafe()!)).map(([name]) => name)
    must(told.join() === port.sent.join(), `told sent: ${told.join()}; sent: ${port.sent.join()}`)
    must(port.violations.length === 0, port.violations.join())
  })

it.live(
  "a socket loses nothing, delivers nothing twice and sends what it says",
  () =>
    passes(
      "socket",
      Arbitrary.all([socketCommands, between(0, 1)]),
      ([commands, kind]) =>
        runSocket(commands, kind === 0 ? "writable" : "ask").pipe(
          Effect.scoped,
          Effect.provide(TestClock.layer()),
          Effect.catchDefect((defect) => Effect.fail(asBroken(defect)))
        ),
      { runs: sequencesOfSockets, size: 24 }
    ),
  120_000
)

// -----------------------------------------------------------------------------
// worker threads
// -----------------------------------------------------------------------------

const threads = Number(process.env.MODEL_THREADS ?? 10)

// A thread that ends with an operation pending aborts the whole process (zeromq.js
// issue 411): so these run in a process of their own.
it.live(
  "a thread that ends in any way, whatever it left open, leaves the process alone",
  () =>
    Effect.gen(function* () {
      console.log(`threads: ${threads} sequences, seed ${seed}`)
      const ended = yield* runScript("threads.ts", String(seed), String(threads))
      expect(ended).toMatchObject({ code: 0, signal: null, stderr: "", stdout: `survived ${threads}\n` })
    }),
  120_000
)

// A model that cannot fail proves nothing: this mailbox forgets what is put back.
it.live("finds a mailbox that loses what was put back, and shrinks to the shortest way there", () =>
  Effect.gen(function* () {
    const putBack = Mailbox.prototype.putBack
    const result = yield* Effect.acquireUseRelease(
      Effect.sync(() => {
        Mailbox.prototype.putBack = () => {}
      }),
      () =>
        Arbitrary.checkEffect(
          mailboxCommands,
          (commands) => Effect.as(Effect.try({ try: () => runMailbox(commands), catch: asBroken }), true),
          { runs: 1000, size: 40, seed: 1, maxShrinks: 2000 }
        ),
      () =>
        Effect.sync(() => {
          Mailbox.prototype.putBack = putBack
        })
    )
    expect(result._tag).toBe("Falsified")
    if (result._tag === "Falsified") expect(result.shrunkInput.length).toBeLessThanOrEqual(3)
  })
)
