/**
 * What the codec of ZMTP costs, in nanoseconds for each message: nothing is
 * written or read. `tsx bench/zmtp/codec.ts`
 *
 * CPU time, as a busy machine makes wall time mean nothing; the least of some
 * rounds. Messages are decoded from chunks of 64 KiB, as they are read.
 */
import { Connection, type Events, type Message } from "../../src/internal/zmtp/connection.ts"

const rounds = 5

const cpu = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) * 1000
}

const connection = (type: "PUSH" | "PULL", onMessage: (message: Message) => boolean): Connection => {
  const ignored = () => {}
  const events: Events = {
    ready: ignored,
    message: onMessage,
    subscribe: () => true,
    cancel: () => true,
    ping: ignored,
    pong: ignored,
    zap: ignored,
    failed: (failure) => {
      throw new Error(failure.reason)
    }
  }
  return new Connection({ local: { socketType: type }, security: { mechanism: "NULL", asks: false } }, events)
}

const taken = (from: Connection): Buffer => {
  const bytes = Buffer.concat(from.take())
  from.written()
  return bytes
}

const pair = (onMessage: (message: Message) => boolean): readonly [push: Connection, pull: Connection] => {
  const push = connection("PUSH", () => true)
  const pull = connection("PULL", onMessage)
  for (let i = 0; i < 2; i++) {
    pull.receive(taken(push))
    push.receive(taken(pull))
  }
  return [push, pull]
}

const least = (count: number, run: (count: number) => void): number => {
  run(count)
  let best = Number.POSITIVE_INFINITY
  for (let i = 0; i < rounds; i++) {
    const before = cpu()
    run(count)
    best = Math.min(best, (cpu() - before) / count)
  }
  return best
}

const row = (size: number, count: number, frame: Buffer | string): void => {
  // As a queue would, but of a fixed size: messages live as long as a thousand others.
  const ring: Array<Message> = new Array(1024)
  let received = 0
  const [push, pull] = pair((message) => {
    ring[received++ & 1023] = message
    return true
  })
  const chunks: Array<Buffer> = []
  while (chunks.length < 32) {
    push.send(frame)
    if (push.pending >= 65_536) {
      const bytes = taken(push)
      for (let at = 0; at < bytes.length; at += 65_536) chunks.push(bytes.subarray(at, at + 65_536))
    }
  }
  // All of them together are whole messages.
  let next = 0
  const decode = least(count, (n) => {
    const until = received + n
    while (received < until) {
      const chunk = chunks[next++ % chunks.length]!
      const place = pull.place()
      if (place !== undefined && place.length >= chunk.length && size > 65_536) {
        place.set(chunk)
        pull.receive(place.subarray(0, chunk.length))
      } else pull.receive(chunk)
      while (pull.resume() === "later");
    }
  })
  const encode = least(count, (n) => {
    for (let i = 0; i < n; i++) {
      push.send(frame)
      if (push.pending >= 65_536) {
        push.take()
        push.written()
      }
    }
  })
  console.log(
    `${String(size).padStart(8)} B  decode ${decode.toFixed(0).padStart(6)} ns  encode ${encode.toFixed(0).padStart(6)} ns`
  )
}

row(16, 2_000_000, Buffer.alloc(16, "x"))
row(16, 2_000_000, "x".repeat(16))
row(100, 1_000_000, Buffer.alloc(100, "x"))
row(1024, 500_000, Buffer.alloc(1024, "x"))
row(65_536, 20_000, Buffer.alloc(65_536, "x"))
