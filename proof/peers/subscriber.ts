/**
 * Peers of a PUB, good ones and others, by zeromq.js. They end when their input
 * does, and the good ones say then what they got.
 *
 *     subscriber.ts KIND ENDPOINT OPTIONS
 */
import { setTimeout as sleep } from "node:timers/promises"
import * as zmq from "zeromq"
import { attack } from "../attacks.ts"
import { randomOf } from "../moments.ts"
import { writeLine } from "./line.ts"

const [kind, endpoint, options] = process.argv.slice(2)
const { count, seed } = JSON.parse(options!) as { count: number; seed: number }
const random = randomOf(seed)

let ended = false
const input = new Promise<void>((resolve) => {
  process.stdin.on("end", () => {
    ended = true
    resolve()
  })
  process.stdin.resume()
})
const say = (what: object): void => writeLine(JSON.stringify(what))

/** Each gets every tick from the first on. */
const good = async (): Promise<void> => {
  const books = { sent: 0, delivered: 0, lost: 0, duplicated: 0, outOfOrder: 0 }
  const next = new Array<number>(count).fill(0)
  const live = async (client: number) => {
    const socket = new zmq.Subscriber({ linger: 0 })
    socket.subscribe("tick ")
    socket.connect(endpoint!)
    input.then(() => socket.close())
    for await (const [tick] of socket) {
      const number = Number(tick!.toString().slice(5))
      if (number < next[client]!) books.duplicated++
      else {
        // What is between is not delivered.
        books.delivered++
        next[client] = number + 1
      }
    }
  }
  const all = Array.from({ length: count }, (_, client) => live(client).catch(() => {}))
  const telling = setInterval(() => say({ least: Math.min(...next), replies: books.delivered }), 20)
  await Promise.all(all)
  clearInterval(telling)
  say({ books })
}

/** Sends messages, which a PUB has no use for, as fast as it can. */
const flood = async (): Promise<void> => {
  const socket = new zmq.XSubscriber({ linger: 0 })
  socket.connect(endpoint!)
  const body = Buffer.alloc(64 * 1024, 2)
  say({ asked: 0 })
  for (let sent = 0; !ended; sent++) {
    await socket.send(body)
    if (sent % 50 === 49) await sleep(0)
  }
}

/** Subscribes to everything, and reads nothing. */
const deaf = async (): Promise<void> => {
  const socket = new zmq.Subscriber({ linger: 0, receiveHighWaterMark: 1, receiveBufferSize: 4096 })
  socket.subscribe("")
  socket.connect(endpoint!)
  say({ asked: 0 })
  await input
}

/** Subscribes and unsubscribes without an end. */
const churn = async (): Promise<void> => {
  const socket = new zmq.Subscriber({ linger: 0 })
  socket.connect(endpoint!)
  say({ asked: 0 })
  while (!ended) {
    const topic = `topic ${random(1000)}`
    socket.subscribe(topic)
    socket.unsubscribe(topic)
    if (random(100) === 0) await sleep(1)
  }
}

const garbage = async (): Promise<void> => {
  const port = Number(endpoint!.split(":").at(-1))
  say({ asked: 0 })
  const noise = async () => {
    while (!ended) await attack(port, random)
  }
  await Promise.all([noise(), noise(), noise(), noise()])
}

/** Comes, listens, and leaves in the middle. */
const returning = async (): Promise<void> => {
  say({ asked: 0 })
  while (!ended) {
    const socket = new zmq.Subscriber({ linger: 0, receiveTimeout: 100 })
    socket.subscribe("")
    socket.connect(endpoint!)
    for (let heard = random(50); heard > 0; heard--) await socket.receive().catch(() => {})
    socket.close()
    await sleep(random(20))
  }
}

const kinds: Readonly<Record<string, () => Promise<void>>> = { good, flood, deaf, churn, garbage, returning }
await kinds[kind!]!()
process.exit(0)
