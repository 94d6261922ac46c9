/** The peer's process is killed with SIGKILL in the middle, and started again, and again. */
import { Effect, Exit, Fiber } from "effect"
import { Zmq } from "effect-zmq"
import { randomOf, seed, someMoment } from "../moments.ts"
import { nodePeer, type Peer, startPeer } from "../processes.ts"
import type { Outcome, Size, Workload } from "../row.ts"
import { progress, settle, watchFiber } from "../watch.ts"

const untilLines = (peer: Peer, count: number) =>
  Effect.gen(function* () {
    while (peer.lines.length < count) {
      if (peer.child.exitCode !== null) return yield* Effect.die(new Error(`a peer ended by itself: ${peer.stderr()}`))
      yield* Effect.sleep(1)
    }
  })

/**
 * Each life of the sender numbers its messages from 0, and writes a number down
 * when its send has succeeded. Of each life we must get 0, 1, 2 … up to some
 * number: a hole before that is lost, what comes after died with the sender.
 */
const senderDies = async (size: Size): Promise<Outcome> => {
  const random = randomOf()
  const received: Array<Array<number>> = []
  const accepted: Array<number> = []
  const program = Effect.gen(function* () {
    const pull = yield* Zmq.pull({ bind: "tcp://127.0.0.1:*" })
    const note = ([life, number]: Zmq.Message) => {
      received[Number(life.toString())]!.push(Number(number!.toString()))
    }
    const take = Effect.map(pull.recv, note)
    const takeInTime = Effect.map(Effect.timeout(pull.recv, "1 millis"), note)
    const survive = Effect.gen(function* () {
      while (true) {
        const fiber = watchFiber(
          yield* Effect.forkChild(Effect.ignore(Effect.forever(random(2) === 0 ? take : takeInTime)))
        )
        yield* someMoment(random)
        yield* Fiber.interrupt(fiber)
      }
    })
    const surviving = watchFiber(yield* Effect.forkScoped(survive))
    for (let life = 0; life < size.count; life++) {
      received[life] = []
      const sender = startPeer(process.execPath, nodePeer("sender.ts", pull.endpoints[0]!, String(life)))
      yield* untilLines(sender, 100 + random(2000))
      yield* Effect.promise(() => sender.kill())
      accepted[life] = sender.lines.length
      progress(() => `${life + 1} kills`)
    }
    for (let silent = 0, before = -1; silent < 300; silent++) {
      const now = received.reduce((sum, numbers) => sum + numbers.length, 0)
      if (now !== before) silent = 0
      before = now
      yield* Effect.sleep(1)
    }
    yield* Fiber.interrupt(surviving)
  })
  await Effect.runPromise(settle(Effect.scoped(program)))
  let lost = 0
  let duplicated = 0
  let outOfOrder = 0
  let died = 0
  let delivered = 0
  for (let life = 0; life < received.length; life++) {
    const numbers = received[life]!
    const seen = new Set(numbers)
    duplicated += numbers.length - seen.size
    delivered += seen.size
    for (let i = 1; i < numbers.length; i++) if (numbers[i]! < numbers[i - 1]!) outOfOrder++
    const last = numbers.reduce((most, number) => Math.max(most, number), -1)
    lost += last + 1 - seen.size
    // The last may have been sent and not written down yet.
    died += Math.max(0, accepted[life]! - (last + 1))
  }
  return {
    sent: delivered + lost + died,
    delivered,
    redelivered: 0,
    receivable: 0,
    lost,
    duplicated,
    outOfOrder,
    notes: [`${accepted.length} kills`, `${died} died with a sender or on the way from it`, `seed ${seed}`]
  }
}

/**
 * The receiver writes each message down when it has it. What one life of it
 * writes down must be without a hole: a hole is lost. What is missing between
 * the last of one life and the first of the next died with the receiver: it was
 * in the dead process, or in flight to it.
 */
const receiverDies = async (size: Size): Promise<Outcome> => {
  const random = randomOf()
  const lives: Array<Array<number>> = []
  let next = 0
  let withdrawn = 0
  let longest = 0
  const program = Effect.gen(function* () {
    const push = yield* Zmq.push({ bind: "tcp://127.0.0.1:*", sendHighWaterMark: 100 })
    let over = false
    const survive = Effect.gen(function* () {
      while (!over) {
        const asked = performance.now()
        const sending = watchFiber(yield* Effect.forkChild(push.send(String(next))))
        if (random(4) === 0) {
          yield* someMoment(random)
          yield* Fiber.interrupt(sending)
        } else yield* Effect.raceFirst(Effect.ignore(Fiber.join(sending)), Effect.sleep("1 second"))
        yield* Fiber.interrupt(sending)
        // A message that was not sent gives its number to the next.
        if (Exit.isSuccess(yield* Fiber.await(sending))) next++
        else withdrawn++
        longest = Math.max(longest, performance.now() - asked)
      }
    })
    const surviving = watchFiber(yield* Effect.forkScoped(survive))
    for (let life = 0; life < size.count; life++) {
      const receiver = startPeer(
        process.execPath,
        nodePeer("receiver.ts", push.endpoints[0]!, JSON.stringify({ receiveHighWaterMark: 100 }))
      )
      yield* untilLines(receiver, 100 + random(1000))
      if (life === size.count - 1) {
        // The last one is not killed: it gets everything there is.
        over = true
        yield* Fiber.await(surviving)
        const got = () => receiver.lines.at(-1) === String(next - 1)
        for (let silent = 0, before = -1; silent < (got() ? 20 : 500); silent++) {
          if (receiver.lines.length !== before) silent = 0
          before = receiver.lines.length
          yield* Effect.sleep(10)
        }
      }
      yield* Effect.promise(() => receiver.kill())
      lives.push(receiver.lines.map(Number))
      progress(() => `${life + 1} kills`)
    }
  })
  await Effect.runPromise(settle(Effect.scoped(program)))
  const seen = new Set<number>()
  let lost = 0
  let duplicated = 0
  let outOfOrder = 0
  let died = 0
  let before = -1
  for (const numbers of lives) {
    if (numbers.length > 0) died += Math.max(0, numbers[0]! - before - 1)
    for (let i = 0; i < numbers.length; i++) {
      const number = numbers[i]!
      if (seen.has(number)) duplicated++
      seen.add(number)
      if (i > 0 && number < numbers[i - 1]!) outOfOrder++
      if (i > 0) lost += Math.max(0, number - numbers[i - 1]! - 1)
      before = number
    }
  }
  lost += next - 1 - before
  return {
    sent: next,
    delivered: seen.size,
    redelivered: 0,
    receivable: 0,
    lost,
    duplicated,
    outOfOrder,
    faults: next !== seen.size + died + lost ? ["the books do not add up"] : [],
    notes: [
      `${lives.length - 1} kills`,
      `${died} died with a receiver or on the way to it`,
      `${withdrawn} sends interrupted`,
      `seed ${seed}`
    ]
  }
}

const limit = { quick: 180, full: 1800 }

export const workload: Workload = {
  id: "h",
  title: "the peer's process is killed with SIGKILL and started again",
  counting:
    "Each life of a sender numbers its messages and writes down what it has sent: a hole in what arrived is lost, what is missing behind the last that arrived died with the sender. Each life of a receiver writes down what it got: a hole is lost, what is missing between two lives died with the receiver. What died is sent, and neither delivered nor lost.",
  alone: "it asks whether this library survives; what is in a process that dies is lost for all users of libzmq",
  rows: [
    { library: "effect-zmq", variant: "the sender dies", quick: 3, full: 100, limit, run: senderDies },
    { library: "effect-zmq", variant: "the receiver dies", quick: 4, full: 101, limit, run: receiverDies }
  ]
}
