/** The MessagePack format: what is written, what is read, and what is refused. */
import { spawnSync } from "node:child_process"
import { describe, expect, it } from "@effect/vitest"
import { Arbitrary, DateTime, Duration, Effect, HashMap, Option, Result, Schema } from "effect"
import { Codec } from "effect-zmq"
import { decodeMsgpack, encodeMsgpack, MsgpackError } from "../src/internal/codec/msgpack.ts"
import { scriptPath } from "./support/child.ts"

const hex = (value: unknown): string => encodeMsgpack(value).toString("hex")
const decodeHex = (bytes: string): unknown => decodeMsgpack(Buffer.from(bytes.replaceAll(" ", ""), "hex"))

/** What the specification says, at the ends of each form. The first form is the one we write. */
const forms: ReadonlyArray<readonly [value: unknown, ...bytes: Array<string>]> = [
  [null, "c0"],
  [false, "c2"],
  [true, "c3"],
  [0, "00", "cc 00", "cd 0000", "ce 00000000", "cf 0000000000000000", "d0 00", "d1 0000", "d2 00000000"],
  [127, "7f", "d0 7f", "d3 000000000000007f"],
  [128, "cc80"],
  [255, "ccff", "d1 00ff"],
  [256, "cd0100"],
  [65_535, "cdffff"],
  [65_536, "ce00010000"],
  [2 ** 32 - 1, "ceffffffff"],
  [2 ** 32, "cf0000000100000000", "d3 0000000100000000"],
  [1_700_000_000_123, "cf0000018bcfe5687b"],
  [Number.MAX_SAFE_INTEGER, "cf001fffffffffffff"],
  [2n ** 53n, "cf0020000000000000"],
  [2n ** 63n - 1n, "cf7fffffffffffffff", "d3 7fffffffffffffff"],
  [2n ** 64n - 1n, "cfffffffffffffffff"],
  [-1, "ff", "d0 ff", "d1 ffff", "d2 ffffffff", "d3 ffffffffffffffff"],
  [-32, "e0"],
  [-33, "d0df"],
  [-128, "d080"],
  [-129, "d1ff7f"],
  [-32_768, "d18000"],
  [-32_769, "d2ffff7fff"],
  [-(2 ** 31), "d280000000"],
  [-(2 ** 31) - 1, "d3ffffffff7fffffff"],
  [-(2 ** 32) - 1, "d3fffffffeffffffff"],
  [Number.MIN_SAFE_INTEGER, "d3ffe0000000000001"],
  [-(2n ** 53n), "d3ffe0000000000000"],
  [-(2n ** 63n), "d38000000000000000"],
  [1.5, "cb3ff8000000000000", "ca 3fc00000"],
  [-0, "cb8000000000000000"],
  [2 ** 60, "cb43b0000000000000"],
  [Number.NaN, "cb7ff8000000000000"],
  [Number.NEGATIVE_INFINITY, "cbfff0000000000000"],
  ["", "a0", "d9 00", "da 0000", "db 00000000"],
  ["grüße", "a76772c3bcc39f65"],
  ["a".repeat(31), `bf${"61".repeat(31)}`],
  ["ä".repeat(15), `be${"c3a4".repeat(15)}`],
  ["ä".repeat(16), `d920${"c3a4".repeat(16)}`],
  ["a".repeat(32), `d920${"61".repeat(32)}`],
  ["a".repeat(255), `d9ff${"61".repeat(255)}`],
  ["a".repeat(256), `da0100${"61".repeat(256)}`],
  ["a".repeat(65_535), `daffff${"61".repeat(65_535)}`],
  ["a".repeat(65_536), `db00010000${"61".repeat(65_536)}`],
  [Buffer.alloc(0), "c400"],
  [Buffer.alloc(255, 7), `c4ff${"07".repeat(255)}`],
  [Buffer.alloc(256, 7), `c50100${"07".repeat(256)}`],
  [Buffer.alloc(65_536, 7), `c600010000${"07".repeat(65_536)}`],
  [[], "90", "dc 0000", "dd 00000000"],
  [Array(15).fill(1), `9f${"01".repeat(15)}`],
  [Array(16).fill(1), `dc0010${"01".repeat(16)}`],
  [Array(65_536).fill(1), `dd00010000${"01".repeat(65_536)}`],
  [{}, "80", "de 0000", "df 00000000"],
  [{ a: 1, b: [null] }, "82a16101a16291c0"],
  [new Date(0), "d6ff00000000"],
  [new Date("2106-02-07T06:28:15Z"), "d6ffffffffff"],
  [new Date("2106-02-07T06:28:16Z"), "d7ff0000000100000000"],
  [new Date(1), "d7ff003d090000000000"],
  [new Date(17_179_869_183_999), "d7ffee2e1f03ffffffff"],
  [new Date(17_179_869_184_000), "c70cff000000000000000400000000"],
  [new Date(-1), "c70cff3b8b87c0ffffffffffffffff"],
  [new Date(-8.64e15), "c70cff00000000fffff82457de8000"]
]

describe("what is written, and read", () => {
  it("is what the specification says, in each form", () => {
    for (const [value, written, ...others] of forms) {
      expect(hex(value)).toBe(written)
      for (const form of [written!, ...others]) expect(decodeHex(form)).toEqual(value)
    }
  })

  it("is a map with as many keys as it says, without those that are undefined", () => {
    const record = Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`key${i}`, i === 3 ? undefined : i]))
    expect(hex(record).slice(0, 6)).toBe("de0010")
    const { key3: _, ...rest } = record
    expect(decodeMsgpack(encodeMsgpack(record))).toEqual(rest)
    const many = Object.fromEntries(Array.from({ length: 65_536 }, (_, i) => [`${i}`, i]))
    expect(hex(many).slice(0, 10)).toBe("df00010000")
    expect(decodeMsgpack(encodeMsgpack(many))).toEqual(many)
  })

  it("has keys that are numbers as text, and a key __proto__ as any other", () => {
    expect(decodeHex("83 01 c3 ff c3 cf0020000000000000 c3")).toEqual({ 1: true, "-1": true, "9007199254740992": true })
    const value = decodeHex(`81 a9${Buffer.from("__proto__").toString("hex")} 81 a178 01`) as object
    expect(Object.keys(value)).toEqual(["__proto__"])
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
    expect((value as { x?: number }).x).toBeUndefined()
  })

  it("has bytes that are a view of the frame", () => {
    const frame = Buffer.from("92c40107c40108", "hex")
    const [first] = decodeMsgpack(frame) as [Buffer]
    expect(first.buffer).toBe(frame.buffer)
  })

  it("is not touched by what is encoded next", () => {
    const first = encodeMsgpack("first")
    encodeMsgpack("other")
    expect(decodeMsgpack(first)).toBe("first")
  })

  it("is encoded while another value is", () => {
    const value = {
      get inner() {
        return encodeMsgpack({ a: "inside" })
      },
      after: "after"
    }
    const { inner, after } = decodeMsgpack(encodeMsgpack(value)) as { inner: Buffer; after: string }
    expect([decodeMsgpack(inner), after]).toEqual([{ a: "inside" }, "after"])
  })

  it.effect("comes back as it was, for generated values", () =>
    Effect.gen(function* () {
      const leaf = Schema.Union([
        Schema.Null,
        Schema.Boolean,
        Schema.Number,
        Schema.Int,
        Schema.String,
        Schema.Uint8Array,
        Schema.Date
      ])
      const shape = Schema.Struct({
        rows: Schema.Array(Schema.Record(Schema.String, leaf)),
        ints: Schema.Array(
          Schema.BigInt.check(Schema.isBetweenBigInt({ minimum: -(2n ** 63n), maximum: 2n ** 64n - 1n }))
        )
      })
      const result = yield* Arbitrary.checkEffect(
        Arbitrary.schema(shape),
        ({ ints, rows }) => {
          const back = decodeMsgpack(encodeMsgpack({ rows, ints })) as { rows: unknown; ints: Array<number | bigint> }
          expect(normal(back.rows)).toEqual(normal(rows))
          expect(back.ints.map(BigInt)).toEqual(ints)
          expect(back.ints.every((n) => typeof n === "bigint" || Number.isSafeInteger(n))).toBe(true)
          return Effect.succeed(true)
        },
        { runs: 500 }
      )
      expect(Arbitrary.formatCheckFailure(result)).toBeUndefined()
    })
  )
})

// Half of a character of UTF-16 has no UTF-8.
const asUtf8 = (text: string): string => Buffer.from(text).toString()

/** With bytes as text, as a Buffer equals no other Uint8Array, and text as UTF-8 has it. */
const normal = (value: unknown): unknown => {
  if (typeof value === "string") return asUtf8(value)
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString("hex")}`
  if (Array.isArray(value)) return value.map(normal)
  if (typeof value !== "object" || value === null || value instanceof Date) return value
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [asUtf8(key), normal(field)]))
}

describe("what is refused", () => {
  const refused = (bytes: string | Buffer) => {
    const frame = typeof bytes === "string" ? Buffer.from(bytes.replaceAll(" ", ""), "hex") : bytes
    try {
      return { value: decodeMsgpack(frame) }
    } catch (error) {
      expect(error).toBeInstanceOf(MsgpackError)
      return (error as MsgpackError).message
    }
  }
  const short = "no more bytes, in the middle of a value"

  it("is a frame that ends too early, wherever it does", () => {
    for (const [, ...all] of forms) {
      for (const form of all) {
        const frame = Buffer.from(form.replaceAll(" ", ""), "hex")
        for (let length = 0; length < Math.min(frame.length, 300); length++) {
          expect(refused(frame.subarray(0, length))).toBe(short)
        }
      }
    }
  })

  it("is a frame that goes on after its value", () => {
    expect(refused("c0 c0")).toBe("1 bytes after the value")
    expect(refused("90 c0 c0")).toBe("2 bytes after the value")
  })

  it("is a frame that claims what it has not got, before memory is taken for it", () => {
    // Each of these says that 2^32 - 1 elements follow, and then another such list.
    for (const claim of ["ddffffffff", "dfffffffff", "dcffff", "deffff", "dbffffffff", "c6ffffffff", "c9ffffffff"]) {
      expect(refused(claim.repeat(200))).toBe(short)
    }
    // Lists that could be as long as they say, in one another: nothing is made room for.
    const nested = Buffer.concat([Buffer.from("dd00004000".repeat(500), "hex"), Buffer.alloc(0x4000 + 10, 0xc1)])
    const before = process.memoryUsage().rss
    expect(() => decodeMsgpack(nested, 10_000_000)).toThrow("0xc1")
    expect(process.memoryUsage().rss - before).toBeLessThan(500 * 0x4000 * 8)
  })

  it("is a value nested deeper than 512", () => {
    const nested = (depth: number) => `${"91".repeat(depth)}c0`
    expect(decodeHex(nested(512))).toBeDefined()
    expect(refused(nested(513))).toBe("values nested deeper than 512")
    expect(refused(nested(1_000_000))).toBe("values nested deeper than 512")
    expect(refused(`${"81a161".repeat(513)}c0`)).toBe("values nested deeper than 512")
    // those beside one another are not in one another
    expect(decodeHex(`dc0400${"90".repeat(1024)}`)).toHaveLength(1024)
  })

  it("is text that is not UTF-8, short and long, and U+FFFD is text", () => {
    for (const bad of ["ff", "c3", "eda080", "f4908080"]) {
      for (const padding of [0, 28]) {
        const bytes = `${"61".repeat(padding)}${bad}`
        const head = (0xa0 + bytes.length / 2).toString(16)
        expect(refused(bytes.length / 2 < 32 ? head + bytes : `d9${(bytes.length / 2).toString(16)}${bytes}`)).toBe(
          "text that is not UTF-8"
        )
      }
    }
    expect(decodeHex("a3efbfbd")).toBe("\uFFFD")
  })

  it("is what nothing stands for", () => {
    expect(refused("c1")).toContain("0xc1")
    expect(refused("d40500")).toBe("an extension of type 5")
    expect(refused("c70472000102")).toContain(short)
    expect(refused("c7037292a161")).toBe("an extension of type 114")
    expect(refused("d5ff0000")).toBe("a timestamp that is none")
    expect(refused("d7ffee6b280000000000")).toBe("a timestamp that is none")
    expect(refused("c70cff000000007fffffffffffffff")).toBe("a timestamp that is none")
    expect(refused("818001")).toContain("a map with a key")
    expect(refused("81c001")).toContain("a map with a key")
  })

  it.effect("is whatever else is random, and with nothing worse than that", () =>
    Effect.gen(function* () {
      const bytes = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))
      const result = yield* Arbitrary.checkEffect(
        Arbitrary.schema(bytes),
        (numbers) => {
          refused(Buffer.from(numbers))
          return Effect.succeed(true)
        },
        { runs: 5000 }
      )
      expect(Arbitrary.formatCheckFailure(result)).toBeUndefined()
    })
  )

  it("are values that it cannot hold", () => {
    const cycle: Array<unknown> = []
    cycle.push(cycle)
    const values = [() => 1, Symbol("a"), 2n ** 64n, -(2n ** 63n) - 1n, new Map([["a", 1]]), new Set([1]), /a/, cycle]
    for (const value of [...values, new Date(Number.NaN), new Float64Array(1), new (class Job {})()]) {
      expect(() => encodeMsgpack({ value })).toThrow(MsgpackError)
      // and the next is none the worse for it
      expect(hex([1, "a"])).toBe("9201a161")
    }
  })
})

describe("how many values a frame may have", () => {
  /** A head of a list or a map that claims so many, with 32 bits. */
  const head = (type: "dd" | "df", count: number) => `${type}${count.toString(16).padStart(8, "0")}`
  const lists = Codec.msgpack(Schema.Unknown, { maxValues: 6 })
  const reasonOf = <A>(codec: Codec.Codec<A>, frame: Buffer): string => {
    const result = codec.decode([frame])
    return Result.isFailure(result) ? result.failure.reason : "decoded"
  }

  const frames: ReadonlyArray<readonly [name: string, hex: string, allowed: boolean]> = [
    ["a list of six", "96000000000000", true],
    ["a list of seven", "9700000000000000", false],
    ["lists in one another, six together", "93 91 00 91 00 91 00", true],
    ["lists in one another, seven together", "93 91 00 91 00 92 00 00", false],
    ["a map of six entries", "86 00c0 01c0 02c0 03c0 04c0 05c0", true],
    ["a map of seven entries", "87 00c0 01c0 02c0 03c0 04c0 05c0 06c0", false],
    ["maps in a list, six together", "93 8100c0 8100c0 8100c0", true],
    ["maps in a list, seven together", "93 8100c0 8100c0 820001c001", false],
    ["a list of seven, in its longest form", `${head("dd", 7)}00000000000000`, false],
    ["a map of seven, in its longest form", `${head("df", 7)}${"00c0".repeat(7)}`, false],
    ["text of seven characters", "a761626364656667", true],
    ["seven bytes", "c40700000000000000", true]
  ]
  for (const [name, hex, allowed] of frames) {
    it(`${name}: ${allowed ? "allowed" : "refused"}`, () => {
      const frame = Buffer.from(hex.replaceAll(" ", ""), "hex")
      expect(reasonOf(lists, frame)).toEqual(allowed ? "decoded" : expect.stringContaining("of at most 6 values"))
    })
  }

  it("is a million unless the codec says otherwise, which the error tells how to", () => {
    const frame = (count: number) => Buffer.concat([Buffer.from(head("dd", count), "hex"), Buffer.alloc(count, 0x80)])
    const codec = Codec.msgpack(Schema.Array(Schema.Struct({})))
    expect(reasonOf(codec, frame(1_000_000))).toBe("decoded")
    const reason = reasonOf(codec, frame(1_000_001))
    expect(reason).toContain("of at most 1000000 values")
    expect(reason).toContain("maxValues")
    expect(reasonOf(Codec.msgpack(Schema.Unknown, { maxValues: 1_000_001 }), frame(1_000_001))).toBe("decoded")
  })

  it("is told before the values are made", () => {
    // Were they looked at, the byte that nothing begins with would be found first.
    const frame = Buffer.concat([Buffer.from(head("dd", 7), "hex"), Buffer.alloc(7, 0xc1)])
    expect(reasonOf(lists, frame)).toContain("of at most 6 values")
    expect(reasonOf(Codec.msgpack(Schema.Unknown), frame)).not.toContain("values")
  })

  it("is counted anew for each frame", () => {
    const both = Codec.frames([lists, lists])
    const six = Buffer.from("96000000000000", "hex")
    for (let i = 0; i < 3; i++) expect(Result.isSuccess(both.decode([six, six]))).toBe(true)
  })

  it("is a whole number from one to ten million", () => {
    for (const maxValues of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 10_000_001]) {
      expect(() => Codec.msgpack(Schema.Unknown, { maxValues })).toThrow("option maxValues")
    }
    for (const maxValues of [1, 10_000_000, undefined]) Codec.msgpack(Schema.Unknown, { maxValues })
  })
})

describe("through a schema", () => {
  const Tree = Schema.Struct({
    size: Schema.BigInt,
    leaves: Schema.Array(Schema.suspend((): Schema.Codec<Tree, unknown> => Tree))
  })
  interface Tree {
    readonly size: bigint
    readonly leaves: ReadonlyArray<Tree>
  }
  class Photo extends Schema.Class<Photo>("Photo")({ pixels: Schema.Uint8Array, taken: Schema.Date }) {}
  const roundTrip = <A>(schema: Schema.Codec<A, unknown>, value: A) => {
    const codec = Codec.msgpack(schema)
    const frame = Result.getOrThrow(codec.encode(value)) as Buffer
    const back = Result.getOrThrow(codec.decode([frame]))
    expect(normal(back)).toEqual(normal(value))
    return { wire: normal(decodeMsgpack(frame)), back }
  }

  it("numbers, integers, bytes and dates are as MessagePack has them", () => {
    expect(roundTrip(Schema.Number, Number.NaN).wire).toBeNaN()
    expect(roundTrip(Schema.Number.check(Schema.isGreaterThan(0)), Number.POSITIVE_INFINITY).wire).toBe(
      Number.POSITIVE_INFINITY
    )
    expect(roundTrip(Schema.BigInt, 5n).wire).toBe(5)
    expect(roundTrip(Schema.BigInt, 2n ** 64n - 1n).wire).toBe(2n ** 64n - 1n)
    expect(roundTrip(Schema.BigInt, -(2n ** 63n) - 1n).wire).toBe(`${-(2n ** 63n) - 1n}`)
    expect(roundTrip(Schema.Uint8Array, Buffer.from([1, 2])).wire).toBe("bytes 0102")
    expect(roundTrip(Schema.Uint8Array.annotate({ title: "b" }), Buffer.from([1])).wire).toBe("bytes 01")
    expect(roundTrip(Schema.Date, new Date(7)).wire).toEqual(new Date(7))
    expect(roundTrip(Schema.Unknown, { a: [new Date(1), 2n ** 60n] }).wire).toEqual({ a: [new Date(1), 2n ** 60n] })
  })

  it("wherever they are in the schema", () => {
    const pixels = Buffer.from([1])
    expect(roundTrip(Schema.Option(Schema.Uint8Array), Option.some(pixels)).wire).toEqual({
      _tag: "Some",
      value: "bytes 01"
    })
    expect(roundTrip(Schema.Tuple([Schema.Uint8Array, Schema.BigInt]), [pixels, 3n]).wire).toEqual(["bytes 01", 3])
    expect(roundTrip(Schema.Record(Schema.String, Schema.Date), { a: new Date(1) }).wire).toEqual({ a: new Date(1) })
    expect(roundTrip(Schema.HashMap(Schema.BigInt, Schema.Date), HashMap.make([4n, new Date(1)])).wire).toEqual([
      [4, new Date(1)]
    ])
    const tree = { size: 1n, leaves: [{ size: 2n ** 60n, leaves: [] }] }
    expect(roundTrip(Tree, tree).wire).toEqual({ size: 1, leaves: [{ size: 2n ** 60n, leaves: [] }] })
    const { back, wire } = roundTrip(Photo, new Photo({ pixels, taken: new Date(1) }))
    expect(back).toBeInstanceOf(Photo)
    expect(wire).toEqual({ pixels: "bytes 01", taken: new Date(1) })
    const union = Schema.Union([Schema.String, Schema.Uint8Array, Schema.Number, Schema.Date, Schema.Null])
    for (const value of ["a", pixels, 1.5, new Date(1), null]) roundTrip(union, value)
    const tagged = Schema.Union([
      Schema.TaggedStruct("Frame", { pixels: Schema.optionalKey(Schema.Uint8Array) }),
      Schema.TaggedStruct("Size", { bytes: Schema.BigInt, label: Schema.optional(Schema.String) })
    ])
    roundTrip(tagged, { _tag: "Frame", pixels })
    roundTrip(tagged, { _tag: "Frame" })
    roundTrip(tagged, { _tag: "Size", bytes: 9n, label: undefined })
  })

  it("and all else as it is in JSON", () => {
    expect(roundTrip(Schema.DateTimeUtc, DateTime.makeUnsafe(0)).wire).toBe("1970-01-01T00:00:00.000Z")
    expect(roundTrip(Schema.Duration, Duration.millis(5)).wire).toEqual({ _tag: "Millis", value: 5 })
    expect(roundTrip(Schema.NumberFromString, 5).wire).toBe("5")
    expect(roundTrip(Schema.Uint8ArrayFromBase64, Buffer.from([0])).wire).toBe("AA==")
    expect(roundTrip(Schema.UndefinedOr(Schema.String), undefined).wire).toBeNull()
    expect(roundTrip(Schema.Literals(["a", 1.5, true]), 1.5).wire).toBe(1.5)
  })

  it("checks and transformations run", () => {
    const Percent = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100 }))
    const codec = Codec.msgpack(Schema.Struct({ at: Percent, hash: Schema.Uint8Array.check(Schema.isMinLength(2)) }))
    expect(Result.isSuccess(codec.encode({ at: 50, hash: Buffer.alloc(2) }))).toBe(true)
    expect(Result.isFailure(codec.encode({ at: 101, hash: Buffer.alloc(2) }))).toBe(true)
    expect(Result.isFailure(codec.encode({ at: 50, hash: Buffer.alloc(1) }))).toBe(true)
    const decode = (value: unknown) => codec.decode([encodeMsgpack(value)])
    expect(Result.isSuccess(decode({ at: 50, hash: Buffer.alloc(2) }))).toBe(true)
    expect(Result.isFailure(decode({ at: 50.5, hash: Buffer.alloc(2) }))).toBe(true)
    expect(Result.isFailure(decode({ at: 50, hash: "AAA=" }))).toBe(true)
    expect(Result.isFailure(decode({ at: "50", hash: Buffer.alloc(2) }))).toBe(true)
  })
})

const python = "/usr/bin/python3"
const hasPeer = spawnSync(python, ["-c", "import msgpack"]).status === 0
const missing = `${python} cannot import msgpack: install the package python3-msgpack`

it("Python's msgpack is there to compare with, or this is not CI", () => {
  expect(hasPeer || process.env.CI !== "true", missing).toBe(true)
})

describe.skipIf(!hasPeer)(hasPeer ? "Python's msgpack" : `Python's msgpack (${missing})`, () => {
  // Reads a line of hex for each value, says what it is, and writes it again.
  const run = (frames: ReadonlyArray<Buffer>) => {
    const input = frames.map((frame) => `${frame.toString("hex")}\n`).join("")
    const { status, stderr, stdout } = spawnSync(python, [scriptPath("msgpack_echo.py")], { input, encoding: "utf8" })
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" })
    return stdout
      .trimEnd()
      .split("\n")
      .map((line) => line.split(" ") as [string, string])
  }

  it("reads what we write, and writes what we read", () => {
    // It writes integers below 2^63 and dates as we do, and so all of it.
    const answers = run(forms.map(([value]) => encodeMsgpack(value)))
    forms.forEach(([value], i) => {
      const [type, bytes] = answers[i]!
      expect(type).toBe(pythonType(value))
      expect(decodeHex(bytes)).toEqual(value)
      expect(bytes).toBe(hex(value))
    })
  })
})

const pythonType = (value: unknown): string => {
  if (value === null) return "NoneType"
  if (value instanceof Date) return "Timestamp"
  if (value instanceof Uint8Array) return "bytes"
  if (Array.isArray(value)) return "list"
  if (typeof value === "number") return Number.isSafeInteger(value) && !Object.is(value, -0) ? "int" : "float"
  return { string: "str", boolean: "bool", bigint: "int", object: "dict" }[typeof value as string]!
}
