import { describe, expect, it } from "vitest"
import { Memory } from "../src/internal/zmtp/protocol/bytes.ts"
import { FrameDecoder } from "../src/internal/zmtp/protocol/decoder.ts"
import { FrameEncoder } from "../src/internal/zmtp/protocol/encoder.ts"
import { defaultLimits } from "../src/internal/zmtp/protocol/limits.ts"
import { randomFrom } from "./support/sockets.ts"
import { command, feed, frame, inTraffic, longFrame, nullSecurity, Side } from "./support/zmtpSides.ts"

const sizes = [0, 1, 2, 24, 25, 64, 65, 255, 256, 257, 512, 513, 1024, 4096, 4097, 65_535, 65_536, 65_537, 300_000]

const bytesOf = (random: (below: number) => number, length: number): Buffer => {
  const bytes = Buffer.alloc(length)
  for (let i = 0; i < length; i++) bytes[i] = random(256)
  return bytes
}

/** Texts of ASCII, Latin, wide characters, pairs and a lone surrogate. */
const textOf = (random: (below: number) => number, length: number): string => {
  const letters = ["a", "Z", "\u0000", "é", "ß", "水", "😀", "\ud800"]
  return Array.from({ length }, () => letters[random(letters.length)]!).join("")
}

describe("what was encoded is decoded, byte for byte", () => {
  for (const seed of [1, 2, 3, 4, 5, 6])
    it(`random messages, cut into random pieces (${seed})`, () => {
      const random = randomFrom(seed)
      const push = inTraffic({ type: "PUSH" }, "PULL")
      const pull = inTraffic({ type: "PULL" }, "PUSH")
      const sent: Array<Array<Buffer>> = []
      const wire: Array<Buffer> = []
      for (let i = 0; i < 300; i++) {
        const frames = Array.from({ length: random(10) === 0 ? 1 + random(40) : 1 }, () => {
          const size = random(4) === 0 ? sizes[random(sizes.length)]! : random(200)
          return random(3) === 0 ? textOf(random, Math.min(size, 5000)) : bytesOf(random, size)
        })
        push.connection.send(frames.length === 1 && random(2) === 0 ? frames[0]! : frames)
        sent.push(frames.map((frame) => Buffer.from(frame as string)))
        if (random(5) === 0) wire.push(push.said())
      }
      wire.push(push.said())
      const most = [2, 20, 300, 5000, 70_000, 400_000][seed - 1]!
      feed(pull, Buffer.concat(wire), () => 1 + random(most))
      expect(pull.failure).toBeUndefined()
      expect(pull.messages.length).toBe(sent.length)
      for (const [i, message] of sent.entries()) {
        const received = pull.messages[i]!
        expect(received.length).toBe(message.length)
        for (const [j, frame] of message.entries()) expect(frame.compare(received[j]!)).toBe(0)
      }
    })

  it("what is written is what RFC 37 says", () => {
    for (const size of sizes) {
      const push = inTraffic({ type: "PUSH" }, "PULL")
      const body = Buffer.alloc(size, "x")
      push.connection.send([body, body])
      expect(push.said().equals(Buffer.concat([frame(1, body), frame(0, body)]))).toBe(true)
      push.connection.send(body.toString())
      expect(push.said().equals(frame(0, body))).toBe(true)
    }
  })

  it("a short frame may come as a long one", () => {
    const pull = inTraffic({ type: "PULL" }, "PUSH")
    feed(pull, longFrame(0, 3n, "abc"), () => 1)
    expect(pull.texts()).toEqual([["abc"]])
  })

  it("frames are Buffers like any other", () => {
    const pull = inTraffic({ type: "PULL" }, "PUSH")
    for (const size of [3, 100, 1000, 10_000]) pull.receive(frame(0, Buffer.alloc(size, "x")))
    for (const [body] of pull.messages) {
      expect(Object.getPrototypeOf(body)).toBe(Buffer.prototype)
      expect(body!.subarray(1)).toStrictEqual(Buffer.alloc(body!.length - 1, "x"))
    }
  })
})

describe("bytes to write", () => {
  it("small frames leave in one chunk, and large ones are not copied", () => {
    const push = inTraffic({ type: "PUSH" }, "PULL")
    const large = Buffer.alloc(5000)
    for (let i = 0; i < 100; i++) push.connection.send("small")
    push.connection.send(large)
    push.connection.send("small")
    const chunks = push.connection.take()
    expect(chunks.length).toBe(3)
    expect(chunks[1]).toBe(large)
  })

  it("what is being written is not overwritten", () => {
    const random = randomFrom(7)
    const encoder = new FrameEncoder()
    for (let round = 0; round < 50; round++) {
      const expected: Array<Buffer> = []
      const put = () => {
        const body = bytesOf(random, random(3000))
        encoder.frame(body, 0)
        expected.push(frame(0, body))
      }
      for (let i = random(60); i >= 0; i--) put()
      const first = encoder.take()
      const count = expected.length
      // While those are being written, others come.
      for (let i = random(60); i >= 0; i--) put()
      expect(Buffer.concat(first).equals(Buffer.concat(expected.slice(0, count)))).toBe(true)
      encoder.written()
      expect(Buffer.concat(encoder.take()).equals(Buffer.concat(expected.slice(count)))).toBe(true)
      encoder.written()
      expect(encoder.pending).toBe(0)
    }
  })

  it("a connection with nothing to write has no block", () => {
    const push = inTraffic({ type: "PUSH" }, "PULL")
    push.connection.send("hello")
    push.said()
    const { encoder } = push.connection as unknown as { readonly encoder: FrameEncoder }
    expect(encoder.block).toBeUndefined()
  })

  it("messages count as unwritten until they are", () => {
    const { connection } = inTraffic({ type: "PUSH" }, "PULL")
    connection.send("a")
    connection.send("b")
    connection.take()
    connection.send("c")
    expect(connection.unwritten).toBe(3)
    connection.written()
    expect(connection.unwritten).toBe(1)
  })
})

describe("memory", () => {
  it("a frame keeps no more than itself or 1 KiB", () => {
    const memory = new Memory()
    for (let size = 1; size <= 5000; size++) {
      memory.take(size % 300)
      const kept = memory.take(size)
      expect(kept.length).toBe(size)
      expect(kept.buffer.byteLength).toBeLessThanOrEqual(Math.max(1024, size))
    }
  })

  it("frames of one chunk do not share memory with it, or with each other", () => {
    const pull = inTraffic({ type: "PULL" }, "PUSH")
    const chunk = Buffer.concat([10, 100, 100, 2000, 9000].map((size) => frame(0, Buffer.alloc(size, "x"))))
    pull.receive(chunk)
    chunk.fill("y")
    for (const [body] of pull.messages) expect(body!.every((byte) => byte === 120)).toBe(true)
    pull.messages[1]![0]!.fill("z")
    expect(pull.messages[2]![0]!.every((byte) => byte === 120)).toBe(true)
  })

  it("is not given for what is only announced", () => {
    for (const length of [2n ** 30n, 2n ** 31n - 2n]) {
      const pull = inTraffic({ type: "PULL" }, "PUSH")
      pull.receive(longFrame(0, length))
      expect(pull.failure).toBeUndefined()
      expect(pull.connection.place()!.buffer.byteLength).toBeLessThanOrEqual(256 * 1024)
      let came = 0
      for (let i = 0; i < 100; i++) {
        came += 20_000
        pull.receive(Buffer.alloc(20_000))
        const held = pull.connection.place()?.buffer.byteLength ?? 0
        expect(held).toBeLessThanOrEqual(Math.max(256 * 1024, came * 4))
      }
    }
  })

  it("bytes that were read in place are not copied", () => {
    const pull = inTraffic({ type: "PULL" }, "PUSH")
    pull.receive(longFrame(0, 200_000n, "abc"))
    const place = pull.connection.place()!
    expect(place.length).toBe(199_997)
    place.fill("d")
    pull.receive(place)
    expect(pull.messages[0]![0]!.buffer).toBe(place.buffer)
    expect(pull.messages[0]![0]!.toString("latin1", 0, 5)).toBe("abcdd")
  })

  it("what was read in place is followed by another place, as long as the frame goes on", () => {
    const pull = inTraffic({ type: "PULL" }, "PUSH")
    pull.receive(longFrame(0, 2_000_000n))
    let came = 0
    while (pull.messages.length === 0) {
      const place = pull.connection.place()!
      expect(place.length).toBeGreaterThan(0)
      place.fill(came % 251)
      came += place.length
      pull.receive(place)
    }
    expect(came).toBe(2_000_000)
    expect(pull.messages[0]![0]!.buffer.byteLength).toBe(2_000_000)
  })

  it("a place is neither so large that a read takes a turn, nor too small to be worth one", () => {
    const pull = inTraffic({ type: "PULL" }, "PUSH")
    pull.receive(longFrame(0, 20_000_000n))
    const places: Array<number> = []
    let left = 20_000_000
    while (left > 0) {
      const place = pull.connection.place() ?? Buffer.alloc(left)
      places.push(place.length)
      left -= place.length
      pull.receive(place)
    }
    expect(pull.messages[0]![0]!.length).toBe(20_000_000)
    expect(Math.max(...places)).toBe(256 * 1024)
    const other = inTraffic({ type: "PULL" }, "PUSH")
    other.receive(longFrame(0, 4000n, "abc"))
    expect(other.connection.place()).toBeUndefined()
  })

  it("a place that was given before is good even if it is used late", () => {
    const pull = inTraffic({ type: "PULL" }, "PUSH")
    pull.receive(longFrame(0, 200_000n))
    const place = pull.connection.place()!
    pull.receive(Buffer.alloc(100_000, "a"))
    place.fill("b", 0, 100_000)
    pull.receive(place.subarray(0, 100_000))
    const body = pull.messages[0]![0]!
    expect(body.subarray(100_000).every((byte) => byte === 98)).toBe(true)
  })
})

describe("limits", () => {
  const refused = (bytes: Buffer, limits: Partial<typeof defaultLimits>): string | undefined => {
    const side = inTraffic({ type: "PULL", limits }, "PUSH")
    feed(side, bytes, () => 7)
    expect(side.failure === undefined || side.failure.phase === "traffic").toBe(true)
    return side.failure?.reason
  }
  const more = frame(1, "aa")
  const last = frame(0, "aa")

  it("bytes of a frame", () => {
    expect(refused(frame(0, Buffer.alloc(300)), { frameBytes: 300 })).toBeUndefined()
    expect(refused(frame(0, Buffer.alloc(301)), { frameBytes: 300 })).toContain("301")
    expect(refused(longFrame(0, 2n ** 63n - 1n), { frameBytes: 300 })).toContain("300")
    expect(refused(longFrame(0, 2n ** 64n - 1n), {})).toContain("message of more than")
  })

  it("bytes of a message", () => {
    expect(refused(Buffer.concat([more, more, last, more, more, last]), { messageBytes: 6 })).toBeUndefined()
    expect(refused(Buffer.concat([more, more, more, last]), { messageBytes: 6 })).toContain("more than 6 bytes")
    // Before it comes.
    expect(refused(Buffer.concat([more, longFrame(0, 5n)]), { messageBytes: 6 })).toContain("more than 6 bytes")
  })

  it("frames of a message", () => {
    expect(refused(Buffer.concat([more, more, last, more, more, last]), { frames: 3 })).toBeUndefined()
    expect(refused(Buffer.concat([more, more, more, last]), { frames: 3 })).toContain("more than 3 frames")
  })

  it("flags that are reserved", () => {
    for (const flags of [8, 16, 0x80, 0xfc]) {
      expect(refused(frame(flags, "x"), {})).toContain("reserved")
      expect(refused(longFrame(flags, 300n), {})).toContain("reserved")
    }
  })

  it("what is refused is refused once, and nothing is an event after it", () => {
    const side = inTraffic({ type: "PULL", limits: { frameBytes: 5 } }, "PUSH")
    side.receive(Buffer.concat([last, frame(0, "123456"), last]))
    side.receive(last)
    expect(side.texts()).toEqual([["aa"]])
    expect(side.log).toEqual(["ready", "failed protocol"])
    expect(side.progress.slice(1)).toEqual(["failed", "failed"])
    expect(side.connection.send("x")).toBe(false)
  })

  it("nor is what came behind it in one piece, and nothing is kept of that", () => {
    const side = inTraffic({ type: "PULL" }, "PUSH")
    side.receive(Buffer.concat([last, command("PING", "x".repeat(100)), last, command("PONG"), last]))
    expect(side.texts()).toEqual([["aa"]])
    expect(side.log).toEqual(["ready", "failed protocol"])
    const stopped = inTraffic({ type: "PULL", room: 1 }, "PUSH")
    stopped.receive(Buffer.concat([last, command("PING", "x".repeat(100)), last]))
    stopped.receive(last)
    const { held } = stopped.connection as unknown as { readonly held: ReadonlyArray<Uint8Array> }
    expect(held.length).toBe(2)
    expect(stopped.connection.resume()).toBe("failed")
    expect(held.length).toBe(0)
    stopped.receive(last)
    expect(held.length).toBe(0)
    expect(stopped.texts()).toEqual([["aa"]])
  })

  it("a frame for which there is no memory is a failure", () => {
    const memory = new Memory()
    memory.take = (length) => {
      if (length > 300_000) throw new RangeError("Array buffer allocation failed")
      return Buffer.alloc(length)
    }
    const decoder = new FrameDecoder({ frame: () => true }, memory, defaultLimits)
    decoder.expects = "traffic"
    decoder.budget = 10
    decoder.decode(longFrame(0, 1_000_000n), 0, 9)
    decoder.decode(Buffer.alloc(300_000), 0, 300_000)
    expect(decoder.fault).toContain("no memory")
  })
})

describe("turns", () => {
  it("one has a bounded number of frames, and the rest comes in others", () => {
    const pull = inTraffic({ type: "PULL" }, "PUSH")
    const bytes = Buffer.concat(Array.from({ length: 10_000 }, (_, i) => frame(0, String(i))))
    expect(pull.receive(bytes)).toBe("later")
    bytes.fill(0)
    const first = pull.messages.length
    expect(first).toBeLessThanOrEqual(4096)
    while (pull.connection.resume() === "later");
    expect(pull.texts()).toEqual(Array.from({ length: 10_000 }, (_, i) => [String(i)]))
  })

  it("an event that says to stop is the last one until there is room", () => {
    const pull = inTraffic({ type: "PULL", room: 2 }, "PUSH")
    expect(pull.receive(Buffer.concat([frame(0, "1"), frame(1, "2"), frame(0, "3"), frame(0, "4")]))).toBe("stopped")
    expect(pull.texts()).toEqual([["1"], ["2", "3"]])
    // It may have been on its way.
    expect(pull.receive(frame(0, "5"))).toBe("stopped")
    expect(pull.connection.place()).toBeUndefined()
    pull.room = 1
    expect(pull.connection.resume()).toBe("stopped")
    pull.room = 100
    expect(pull.connection.resume()).toBe("all")
    expect(pull.receive(frame(0, "6"))).toBe("all")
    expect(pull.texts()).toEqual([["1"], ["2", "3"], ["4"], ["5"], ["6"]])
  })

  it("it may stop at any frame, in any piece", () => {
    const random = randomFrom(11)
    const pull = inTraffic({ type: "PULL", room: 1 }, "PUSH")
    const bytes = Buffer.concat(
      Array.from({ length: 500 }, (_, i) => frame(0, String(i).padEnd(random(2000) < 100 ? 20_000 : 10)))
    )
    for (let at = 0; at < bytes.length; ) {
      const size = 1 + random(3000)
      pull.receive(bytes.subarray(at, at + size))
      at += size
      while (pull.progress.at(-1) === "stopped") {
        pull.room = 1 + random(3)
        pull.progress.push(pull.connection.resume())
      }
    }
    expect(pull.messages.map(([body]) => Number(body!.toString()))).toEqual(Array.from({ length: 500 }, (_, i) => i))
  })
})

it("a connection that is made says its greeting, and nothing else", () => {
  const side = new Side({ type: "PULL", security: nullSecurity })
  expect(side.said().length).toBe(64)
})
