/**
 * What a peer could say that is mad or malicious, made of what an honest one
 * says. Repeatable: by the name of a target and a seed.
 */
import type { Boxes, KeyPair } from "../../src/internal/zmtp/protocol/boxes.ts"
import { blockSize, type Message, type Security } from "../../src/internal/zmtp/protocol/connection.ts"
import { FrameEncoder } from "../../src/internal/zmtp/protocol/encoder.ts"
import type { Sealing } from "../../src/internal/zmtp/protocol/sealing.ts"
import {
  accepts,
  clientKeys,
  command,
  exchange,
  frame,
  greeting,
  longFrame,
  nativeBoxes,
  property,
  ready,
  Side,
  type SideOptions,
  securities,
  serverKeys,
  wrapperBoxes
} from "./zmtpSides.ts"

type Random = (below: number) => number

const pick = <A>(random: Random, list: ReadonlyArray<A>): A => list[random(list.length)]!

const bytesOf = (random: Random, most: number): Buffer => {
  const bytes = Buffer.alloc(random(most + 1))
  for (let i = 0; i < bytes.length; i++) bytes[i] = random(256)
  return bytes
}

const extremes = [
  0n,
  1n,
  254n,
  255n,
  256n,
  8192n,
  8193n,
  65_536n,
  65_537n,
  2n ** 31n,
  2n ** 32n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n
]

/** A frame or two that are well formed, or nearly. */
const someFrames = (random: Random): Buffer => {
  switch (random(16)) {
    case 0:
      return frame(random(8), bytesOf(random, 300))
    case 1:
      return longFrame(random(16), pick(random, extremes), bytesOf(random, 40).toString("latin1"))
    case 2:
      return command(
        pick(random, ["PING", "PONG", "SUBSCRIBE", "CANCEL", "ERROR", "READY", "X", ""]),
        bytesOf(random, 30)
      )
    case 3:
      return command("READY", property(pick(random, ["Socket-Type", "Identity", "X-a", ""]), bytesOf(random, 20)))
    case 4:
      return command("ERROR", Buffer.concat([Buffer.of(random(256)), bytesOf(random, 20)]))
    case 5:
      return command(
        "HELLO",
        Buffer.concat([Buffer.of(random(10)), bytesOf(random, 10), Buffer.of(random(10)), bytesOf(random, 10)])
      )
    case 6:
      return pick(random, [command("WELCOME"), command("INITIATE", property("Socket-Type", "PUSH")), ready("PUSH")])
    case 7:
      return Buffer.concat(Array.from({ length: random(50) }, () => frame(random(2), bytesOf(random, 3))))
    case 8:
      return Buffer.concat(Array.from({ length: random(50) }, () => command("PING", "\0\0context")))
    case 9:
      return frame(0, Buffer.alloc(random(random(10) === 0 ? 70_000 : 700), random(256)))
    case 10:
      return frame(0, Buffer.concat([Buffer.of(random(3)), bytesOf(random, 20)]))
    case 11:
      return bytesOf(random, 30)
    default:
      return Buffer.concat([frame(1, bytesOf(random, 300)), frame(0, bytesOf(random, 300)), frame(0, "")])
  }
}

/** Changes bytes in a way or two. */
const mutate = (random: Random, bytes: Buffer): Buffer => {
  let result = Buffer.from(bytes)
  for (let i = random(4); i > 0; i--) {
    const at = random(result.length + 1)
    switch (random(6)) {
      case 0:
        if (at < result.length) result[at] = random(256)
        break
      case 1:
        if (at < result.length) result[at]! ^= 1 << random(8)
        break
      case 2:
        result = Buffer.concat([result.subarray(0, at), bytesOf(random, 12), result.subarray(at)])
        break
      case 3:
        result = Buffer.concat([result.subarray(0, at), result.subarray(at + random(20))])
        break
      case 4:
        result = Buffer.concat([result.subarray(0, at), someFrames(random), result.subarray(at)])
        break
      default:
        result = Buffer.from(result.subarray(0, at))
    }
  }
  return result
}

export interface Target {
  readonly name: string
  /** A side, and what to say to it, piece by piece: a piece may depend on what the side has said. */
  readonly make: (random: Random) => { readonly side: Side; readonly say: ReadonlyArray<() => Buffer> }
}

const side = (options: SideOptions): Side => new Side({ counts: true, ...options })

/**
 * Boxes that know keys and agreements from before: those cost most of a handshake, and
 * always come out the same. Keys that a peer made up are agreed on each time.
 */
const remembering = (boxes: Boxes): Boxes => {
  const pairs: ReadonlyArray<KeyPair> = Array.from({ length: 16 }, () => boxes.keyPair())
  const agreed = new Map<string, Uint8Array>()
  let at = 0
  return {
    ...boxes,
    keyPair: () => {
      const { publicKey, secretKey } = pairs[at++ % 16]!
      // Whoever has them overwrites them in the end.
      return { publicKey: publicKey.slice(), secretKey: secretKey.slice() }
    },
    agree: (publicKey, secretKey) => {
      const name = `${Buffer.from(publicKey).toString("latin1")}${Buffer.from(secretKey).toString("latin1")}`
      const there = agreed.get(name)
      if (there !== undefined) return there.slice()
      const key = boxes.agree(publicKey, secretKey)
      if (key !== undefined && agreed.size < 1000) agreed.set(name, key.slice())
      return key
    }
  }
}

type Securities = readonly [client: Security, server: Security]

const curve = (from: Boxes): Securities => {
  const boxes = remembering(from)
  const keys = { ...clientKeys, serverKey: serverKeys.publicKey }
  return [
    { mechanism: "CURVE", role: "client", boxes, keys },
    { mechanism: "CURVE", role: "server", boxes, keys: serverKeys, asks: true }
  ]
}

const handshake = (name: string, role: "client" | "server", [client, server]: Securities): Target => ({
  name: `${name} ${role}`,
  make: (random) => {
    const [target, other] = role === "server" ? [server, client] : [client, server]
    const tested = side({ type: role === "server" ? "PULL" : "PUSH", security: target, zap: accepts })
    const honest = side({ type: role === "server" ? "PUSH" : "PULL", security: other, zap: accepts })
    // Up to some point it is honest.
    const mad = random(4)
    return {
      side: tested,
      say: Array.from({ length: 5 }, (_, i) => () => {
        honest.receive(tested.said())
        const said = honest.said()
        return i >= mad ? mutate(random, said) : said
      })
    }
  }
})

/** Whoever has come through the handshake of CURVE can seal what it likes. */
const sealed = (name: string, [client, server]: Securities): Target => ({
  name: `${name} traffic`,
  make: (random) => {
    const [type, peer] = pick(random, [
      ["PULL", "PUSH"],
      ["XPUB", "SUB"],
      ["PAIR", "PAIR"]
    ] as const)
    const tested = side({ type, security: server, zap: accepts })
    const honest = side({ type: peer, security: client })
    exchange(tested, honest)
    const { sealing } = honest.connection as unknown as { readonly sealing: Sealing }
    const encoder = new FrameEncoder()
    return {
      side: tested,
      say: Array.from({ length: 3 }, () => () => {
        for (let i = random(20); i >= 0; i--) {
          const body = random(10) === 0 ? someFrames(random) : bytesOf(random, 700)
          const known = command(pick(random, ["PING", "PONG", "SUBSCRIBE", "FUTURE"]), "\0\x05context").subarray(2)
          const flags = random(40) === 0 ? random(256) : pick(random, [0, 0, 0, 1, 2])
          sealing.seal(encoder, flags === 2 && random(10) > 0 ? known : body, flags)
        }
        const bytes = Buffer.concat(encoder.take())
        encoder.written()
        return random(3) === 0 ? mutate(random, bytes) : bytes
      })
    }
  }
})

const traffic: Target = {
  name: "frames",
  make: (random) => {
    const [type, peer] = pick(random, [
      ["PULL", "PUSH"],
      ["XPUB", "SUB"],
      ["ROUTER", "DEALER"]
    ] as const)
    const limits = random(2) === 0 ? {} : { frameBytes: 1000, messageBytes: 2000, frames: 10 }
    const tested = side({ type, limits, ...(random(4) === 0 ? { room: 1 + random(5) } : {}) })
    tested.receive(Buffer.concat([greeting("NULL", 3, random(2)), ready(peer)]))
    return {
      side: tested,
      say: Array.from(
        { length: 3 },
        () => () => mutate(random, Buffer.concat(Array.from({ length: 1 + random(5) }, () => someFrames(random))))
      )
    }
  }
}

const greetings: Target = {
  name: "greeting",
  make: (random) => {
    const security = pick(random, Object.values(securities).flat()) as Security
    return {
      side: side({ type: "PULL", security, zap: accepts }),
      say: [() => mutate(random, greeting(pick(random, ["NULL", "PLAIN", "CURVE"]), random(5), random(3), random(2)))]
    }
  }
}

export const targets: ReadonlyArray<Target> = [
  traffic,
  greetings,
  ...["NULL", "PLAIN"].flatMap((name) => {
    const both = securities[name]!
    return [handshake(name, "client", both), handshake(name, "server", both)]
  }),
  ...[nativeBoxes, wrapperBoxes].flatMap((boxes) => {
    const name = `CURVE, ${boxes.name}`
    const both = curve(boxes)
    return [handshake(name, "client", both), handshake(name, "server", both), sealed(name, both)]
  })
]

/** What a connection holds of its peer, in bytes. */
const heldBy = (side: Side): number => {
  const { held, decoder, frames } = side.connection as unknown as {
    readonly held: ReadonlyArray<Uint8Array>
    readonly decoder: { readonly body: Uint8Array | undefined }
    readonly frames: Message | undefined
  }
  const sum = (list: ReadonlyArray<Uint8Array>) => list.reduce((total, { length }) => total + length, 0)
  return sum(held) + sum(frames ?? []) + (decoder.body?.length ?? 0)
}

export interface Outcome {
  /** How it ended. */
  readonly outcome: string
  readonly messages: number
  /** Milliseconds that the longest call worked, at most, with the collection of garbage in it. */
  readonly longest: number
}

// Milliseconds that this process has worked: on a busy machine, time that passes says nothing.
// But to ask costs as much as a call.
const cpu = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** Says one input to a target. Throws if it breaks a rule. */
export const fuzz = (target: Target, random: Random): Outcome => {
  const { side, say } = target.make(random)
  const { connection } = side
  let said = 0
  let longest = 0
  const begun = cpu()
  const timed = (call: () => void): void => {
    const events = side.count + side.log.length
    const before = performance.now()
    call()
    const passed = performance.now() - before
    if (passed > longest) longest = Math.max(longest, passed < 2 ? passed : Math.min(passed, cpu() - begun))
    if (side.count + side.log.length - events > 4100) throw new Error("a turn had too many events")
  }
  for (const piece of say) {
    const bytes = piece()
    // Byte by byte, but not for a large one.
    const most = 1 + (bytes.length >> 7) + random(pick(random, [3, 100, 70_000]))
    for (let at = 0; at < bytes.length; ) {
      const chunk = Buffer.from(bytes.subarray(at, at + 1 + random(most)))
      at += chunk.length
      said += chunk.length
      timed(() => void side.receive(chunk))
      chunk.fill(0)
      for (
        let turns = 0;
        turns < 10 && (side.progress.at(-1) === "later" || side.progress.at(-1) === "stopped");
        turns++
      ) {
        side.room = 1 + random(3)
        timed(() => void side.progress.push(connection.resume()))
      }
      // What a first place has, four times what came, and what it announced in small frames.
      if (heldBy(side) > 256 * 1024 + said * 4) throw new Error(`${heldBy(side)} bytes held for ${said}`)
      if (connection.pending > blockSize * 2 + said) throw new Error(`${connection.pending} bytes to write for ${said}`)
    }
  }
  if (side.failure !== undefined && side.count + side.log.length !== side.eventsAtFailure)
    throw new Error("an event after the failure")
  if (side.failure !== undefined && !/^[\x20-\x7e]{1,400}$/.test(side.failure.reason))
    throw new Error(`a reason that cannot be shown: ${JSON.stringify(side.failure.reason)}`)
  connection.end()
  return { outcome: side.failure?.kind ?? connection.phase, messages: side.count, longest }
}
