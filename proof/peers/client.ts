/**
 * Clients of a service, good ones and others, by zeromq.js or over plain TCP.
 * They end when their input does, and say then what became of their questions.
 *
 *     client.ts KIND PROTOCOL ENDPOINT OPTIONS
 */
import { setTimeout as sleep } from "node:timers/promises"
import * as zmq from "zeromq"
import { attack } from "../attacks.ts"
import { randomOf } from "../moments.ts"
import { type Asking, open, type Protocol } from "./asking.ts"
import { writeLine } from "./line.ts"

const [kind, protocolName, endpoint, options] = process.argv.slice(2)
const protocol = protocolName as Protocol
const { count, letters, name, pause, seed } = JSON.parse(options!) as {
  /** How many clients, or questions, or lives. */
  count: number
  /** How long an answer is to be. */
  letters: number
  /** The routing id, where it matters. */
  name: string
  /** Milliseconds between two answers that are read. */
  pause: number
  seed: number
}
const random = randomOf(seed)

let ended = false
const input = new Promise<void>((resolve) => {
  process.stdin.on("end", () => {
    ended = true
    resolve()
  })
  process.stdin.resume()
})

const books = { sent: 0, delivered: 0, duplicated: 0, outOfOrder: 0 }
const say = (what: object): void => writeLine(JSON.stringify(what))

/** Notes an answer to one of the questions from `first` on, which come in order. Gives the number that is next. */
const note = (answer: number, expected: number, first: number): number => {
  if (answer === expected) {
    books.delivered++
    return expected + 1
  }
  if (answer >= first && answer < expected) books.duplicated++
  else books.outOfOrder++
  return expected
}

// -----------------------------------------------------------------------------
// good clients
// -----------------------------------------------------------------------------

/** Fifty clients, each of which asks one question after the other, and waits as long as it takes. */
const good = async (): Promise<void> => {
  const replies = new Array<number>(count).fill(0)
  let longest = 0
  let worst = 0
  const live = async (client: number): Promise<void> => {
    let asking = await open(protocol, endpoint!)
    for (let number = 0; !ended; number++) {
      // Over TCP some come anew.
      if (protocol === "tcp" && client % 2 === 0 && number % 20 === 19) {
        asking.leave()
        asking = await open(protocol, endpoint!)
      }
      const length = random(letters)
      const asked = performance.now()
      books.sent++
      await asking.ask(number, length)
      let answer: number | undefined
      do answer = await asking.answer(length)
      while (answer !== undefined && note(answer, number, 0) === number)
      if (answer === undefined) break
      replies[client]!++
      longest = Math.max(longest, performance.now() - asked)
      if (number % 4 === 3) await sleep(1)
    }
    // An answer that comes twice comes soon.
    const again = asking.answer(0).then((answer) => {
      if (answer !== undefined) books.duplicated++
    })
    await Promise.race([again, sleep(300)])
    asking.leave()
    await again
  }
  const telling = setInterval(() => {
    worst = Math.max(worst, longest)
    say({ least: Math.min(...replies), replies: books.delivered, longest: Math.round(worst) })
  }, 50)
  const all = Promise.all(Array.from({ length: count }, (_, client) => live(client)))
  // Who has no answer a minute after the end has lost it.
  await Promise.race([all, input.then(() => sleep(60_000, undefined, { ref: false }))])
  clearInterval(telling)
}

// -----------------------------------------------------------------------------
// others
// -----------------------------------------------------------------------------

/** Asks all its questions, and reads nothing. Killed, it has them in flight. */
const greedy = async (): Promise<void> => {
  const asking = await open(protocol, endpoint!, name, { reads: false })
  for (let number = 0; number < count; number++) {
    await asking.ask(number, letters)
    if (number % 500 === 499) await sleep(0)
  }
  say({ asked: count })
  await input
}

const mostOutstanding = 1000

/** Reads as slowly as it likes, and has few enough questions open that no answer may be missing. */
const slow = async (): Promise<void> => {
  const asking = await open(protocol, endpoint!, name, { reads: false })
  let next = 0
  const ask = async () => {
    while (books.sent < Math.min(count, next + mostOutstanding)) await asking.ask(books.sent++, letters)
  }
  await ask()
  say({ asked: books.sent })
  while (next < count) {
    const answer = await Promise.race([asking.answer(letters), sleep(60_000, "none" as const, { ref: false })])
    if (answer === undefined || answer === "none") break
    next = note(answer, next, 0)
    if (pause > 0) await sleep(pause)
    await ask()
  }
  asking.leave()
}

const odd: ReadonlyArray<(bytes: Buffer) => zmq.MessageLike | Array<zmq.MessageLike>> = [
  () => "",
  () => ["", ""],
  () => ["", "", "", ""],
  (bytes) => bytes,
  (bytes) => ["", bytes],
  (bytes) => [bytes, "", bytes],
  () => Array<string>(100).fill("frame"),
  () => ["no empty frame", "1 10"]
]

/** Floods the service with what is no question, and with what is not even ZMTP. */
const garbage = async (): Promise<void> => {
  const port = Number(endpoint!.split(":").at(-1))
  const noise = async () => {
    while (!ended) await attack(port, random)
  }
  const flood = async () => {
    const socket = new zmq.Dealer({ linger: 0, sendHighWaterMark: 1000 })
    socket.connect(endpoint!)
    const read = async () => {
      for await (const _ of socket) {
        // Its answers are as odd as its questions.
      }
    }
    const reading = read()
    const bytes = Buffer.alloc(4096, 255)
    for (let sent = 0; !ended; sent++) {
      await socket.send(odd[random(odd.length)]!(bytes))
      if (sent % 200 === 199) await sleep(0)
    }
    socket.close()
    await reading.catch(() => {})
  }
  // Questions, and a hang-up before the answer.
  const hangUp = async () => {
    while (!ended) {
      const asking = await open(protocol, endpoint!)
      for (let number = 0; number < 5; number++) await asking.ask(number, letters)
      await sleep(random(3))
      asking.leave()
    }
  }
  say({ asked: 0 })
  await Promise.all([noise(), noise(), noise(), noise(), protocol === "zmq" ? flood() : hangUp(), hangUp()])
}

/**
 * Comes under its name, asks, leaves in the middle, and comes again. When its
 * last connection has not ended yet, libzmq turns the next one away: then it
 * tries once more.
 */
const returning = async (): Promise<void> => {
  let lives = 0
  let turnedAway = 0
  let longest = 0
  say({ asked: 0 })
  while (!ended && lives < count) {
    const returned = performance.now()
    const first = lives * 100
    let answered = false
    while (!answered && performance.now() - returned < 60_000) {
      const asking: Asking = await open(protocol, endpoint!, name)
      for (let number = first; number < first + 20; number++) await asking.ask(number, letters)
      const end = performance.now() + 2000
      // What comes first may be an answer to its life before.
      while (!answered && performance.now() < end) {
        const wait = new AbortController()
        const answer = await Promise.race([
          asking.answer(letters),
          sleep(end - performance.now(), "none" as const, { signal: wait.signal }).catch(() => undefined)
        ])
        wait.abort()
        if (answer === undefined || answer === "none") break
        answered = answer >= first
      }
      asking.leave()
      if (!answered) turnedAway++
      await sleep(random(200))
    }
    books.sent++
    if (answered) books.delivered++
    longest = Math.max(longest, performance.now() - returned)
    lives++
  }
  say({ lives, turnedAway, longest: Math.round(longest) })
}

const kinds: Readonly<Record<string, () => Promise<void>>> = { good, greedy, slow, garbage, returning }
await kinds[kind!]!()
say({ books: { ...books, lost: books.sent - books.delivered } })
process.exit(0)
