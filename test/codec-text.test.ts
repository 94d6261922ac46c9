/** Frames as text: whatever the bytes are, what a strict decoder makes of them. */
import { constants } from "node:buffer"
import { expect, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { text } from "../src/internal/codec/codec.ts"

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const expected = (frame: Buffer): string | undefined => {
  try {
    return strict.decode(frame)
  } catch {
    return undefined
  }
}

const pieces = [
  "plain ASCII",
  "\0",
  "é",
  "漢字",
  "🙂",
  "\uFEFF",
  "\uFFFD",
  "a paragraph that makes a frame a long one. ".repeat(60),
  // the first and last byte of a character of two, an overlong slash, a
  // surrogate, a character above U+10FFFF, bytes that never occur
  [0xc3],
  [0xa9],
  [0xc0, 0xaf],
  [0xed, 0xa0, 0x80],
  [0xf4, 0x90, 0x80, 0x80],
  [0xfe, 0xff],
  [0xef, 0xbf]
].map((piece) => Buffer.from(piece as string))

const frames = Arbitrary.map(
  Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: pieces.length - 1 }))), {
    maxLength: 6
  }),
  (choices) => Buffer.concat(choices.map((choice) => pieces[choice]!))
)

it.effect("is what a strict decoder says, for generated frames", () =>
  Effect.gen(function* () {
    const result = yield* Arbitrary.checkEffect(frames, (frame) => Effect.succeed(text(frame) === expected(frame)), {
      runs: 20_000
    })
    expect(Arbitrary.formatCheckFailure(result)).toBeUndefined()
  })
)

it("is what a strict decoder says, for every frame of two bytes, alone and at the end of a long one", () => {
  const short = Buffer.alloc(2)
  const long = Buffer.alloc(2050, "x")
  for (let bytes = 0; bytes < 0x10000; bytes++) {
    short.writeUInt16BE(bytes)
    long.writeUInt16BE(bytes, 2048)
    const ends = expected(short)
    if (text(short) !== ends) expect(text(short), short.toString("hex")).toBe(ends)
    if (text(long)?.slice(2048) !== ends) expect(text(long)?.slice(2048), short.toString("hex")).toBe(ends)
  }
})

it("is nothing for a frame that is longer than a string can be", () => {
  expect(text(Buffer.alloc(constants.MAX_STRING_LENGTH + 1))).toBeUndefined()
})
