/**
 * What the codec of ZMTP costs, in nanoseconds for each message: nothing is
 * written or read. `tsx bench/zmtp/codec.ts`
 *
 * CPU time, as a busy machine makes wall time mean nothing; the least of some
 * rounds. Messages are decoded from chunks of 64 KiB, as they are read.
 */
import { nativeBoxes, wrapperBoxes } from "../../proof/conformance/sodium.ts"
import { Connection, type Events, type Message, type Security } from "../../src/internal/zmtp/protocol/connection.ts"

const rounds = 5

const cpu = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) * 1000
}

const none: Security = { mechanism: "NULL", asks: false }

const keys = nativeBoxes.keyPair()
const curve = (boxes: typeof nativeBoxes): readonly [client: Security, server: Security] => [
  { mechanism: "CURVE", role: "client", boxes, keys: { ...keys, serverKey: keys.publicKey } },
  { mechanism: "CURVE", role: "server", boxes, keys, asks: false }
]

const connection = (
  type: "PUSH" | "PULL",
  security: Security,
  onMessage: (message: Message) => boolean
): Connection => {
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
  return new Connection({ local: { socketType: type }, security }, events)
}

const taken = (from: Connection): Buffer => {
  const bytes = Buffer.concat(from.take())
  from.written()
  return bytes
}

const pair = (
  [client, server]: readonly [Security, Security],
  onMessage: (message: Message) => boolean
): readonly [push: Connection, pull: Connection] => {
  const push = connection("PUSH", client, () => true)
  const pull = connection("PULL", server, onMessage)
  while (push.pending + pull.pending > 0) {
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

/** What is decoded was sealed just before, as a number may come once: so it is what is left of both. */
const sealed = (name: string, boxes: typeof nativeBoxes, size: number, count: number): void => {
  let received = 0
  const [push, pull] = pair(curve(boxes), () => {
    received++
    return true
  })
  const frame = Buffer.alloc(size, "x")
  const encode = (then: (bytes: Buffer) => void) => (n: number) => {
    for (let i = 0; i < n; i++) {
      push.send(frame)
      if (push.pending >= 65_536 || i === n - 1) then(taken(push))
    }
  }
  const both = encode((bytes) => {
    pull.receive(bytes)
    while (pull.resume() === "later");
  })
  const whole = least(count, both)
  const alone = least(
    count,
    encode(() => {})
  )
  if (received < count) throw new Error("not all came")
  console.log(
    `${String(size).padStart(8)} B  CURVE by ${name}: open ${(whole - alone).toFixed(0)} ns  seal ${alone.toFixed(0)} ns`
  )
}

const row = (size: number, count: number, frame: Buffer | string): void => {
  // As a queue would, but of a fixed size: messages live as long as a thousand others.
  const ring: Array<Message> = new Array(1024)
  let received = 0
  const [push, pull] = pair([none, none], (message) => {
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
for (const [name, boxes] of [
  ["sodium-native", nativeBoxes],
  ["libsodium-wrappers", wrapperBoxes]
] as const) {
  sealed(name, boxes, 16, 50_000)
  sealed(name, boxes, 1024, 20_000)
  sealed(name, boxes, 65_536, 500)
}
