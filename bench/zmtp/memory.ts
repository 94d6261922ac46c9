/** What ZMTP keeps, in bytes: for a connection that is idle, and for a message that is kept. `node --expose-gc --import tsx bench/zmtp/memory.ts` */
import {
  Connection,
  type ConnectionOptions,
  type Events,
  type Message
} from "../../src/internal/zmtp/protocol/connection.ts"

const used = async (): Promise<number> => {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

const ignored = () => {}
const make = (type: "PUSH" | "PULL", onMessage: (message: Message) => boolean = () => true): Connection => {
  const options: ConnectionOptions = { local: { socketType: type }, security: { mechanism: "NULL", asks: false } }
  const events: Events = {
    ready: ignored,
    message: onMessage,
    subscribe: () => true,
    cancel: () => true,
    ping: ignored,
    pong: ignored,
    zap: ignored,
    failed: ignored
  }
  return new Connection(options, events)
}

const move = (from: Connection, to: Connection): void => {
  to.receive(Buffer.concat(from.take()))
  from.written()
  while (to.resume() === "later");
}

const pair = (onMessage?: (message: Message) => boolean): readonly [Connection, Connection] => {
  const ends = [make("PUSH"), make("PULL", onMessage)] as const
  for (let i = 0; i < 2; i++) {
    move(ends[0], ends[1])
    move(ends[1], ends[0])
  }
  return ends
}

const pairs: Array<readonly [Connection, Connection]> = [pair()]
const before = await used()
for (let i = 0; i < 1000; i++) pairs.push(pair())
for (const [push, pull] of pairs) {
  push.send("hello")
  move(push, pull)
}
console.log(`a connection that is idle: ${(((await used()) - before) / 2000).toFixed(0)} B`)

// The first is there to have everything compiled.
for (const size of [16, 16, 64, 65, 100, 512, 513, 1024, 4096, 65_536]) {
  const kept: Array<Message> = []
  let count = 0
  const [push, pull] = pair((message) => {
    if (count++ % 1000 === 0) kept.push(message)
    return true
  })
  const frame = Buffer.alloc(size, "x")
  const start = await used()
  const messages = size > 10_000 ? 50_000 : 500_000
  for (let i = 0; i < messages; i++) {
    push.send(frame)
    if (push.pending > 60_000) move(push, pull)
  }
  move(push, pull)
  const each = ((await used()) - start) / kept.length
  console.log(`one of 1,000 messages of ${size} B is kept: ${each.toFixed(0)} B each`)
}
