/** An error of a message carries the message, and shows none of it, whatever prints it. */
import { inspect } from "node:util"
import { expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Logger, Result, Schema } from "effect"
import { Codec, Zmq } from "effect-zmq"
import { ways } from "./support/shown.ts"
import { boundTo, freshEndpoint } from "./support/sockets.ts"

const word = "PAYLOAD!"
const payload = word.repeat(12_500)
const Job = Schema.Struct({ id: Schema.Number })

// Whatever 100 KB look like: as text, as hexadecimal or decimal bytes.
const shows = (text: string): boolean =>
  [word, Buffer.from("PAYL").toString("hex"), "50 41 59 4c", "80,65,89,76"].some((form) => text.includes(form)) ||
  text.length > 20_000

const frames = (...texts: [string, ...Array<string>]) =>
  texts.map((text) => Buffer.from(text)) as unknown as Zmq.Message

const refused: Readonly<Record<string, Result.Result<unknown, Zmq.DecodeError | Zmq.EncodeError>>> = {
  "text that is no JSON": Codec.json(Job).decode(frames(payload)),
  "text that stops being JSON": Codec.json(Job).decode(frames(`{"id": ${payload}`)),
  "short text that is no JSON": Codec.json(Job).decode(frames(word)),
  "JSON of another shape": Codec.json(Job).decode(frames(JSON.stringify({ id: payload }))),
  "JSON of another kind": Codec.json(Job).decode(frames(JSON.stringify(payload))),
  "one of a union": Codec.json(Schema.Union([Schema.Literal("a"), Schema.Literal("b")])).decode(
    frames(JSON.stringify(payload))
  ),
  "what is no MessagePack": Codec.msgpack(Job).decode(frames(payload)),
  "what is not Effect's": Codec.binary(Job).decode(frames(payload)),
  "frames too many": Codec.string.decode(frames(payload, payload)),
  "a frame of several": Codec.frames({ topic: Codec.string, job: Codec.json(Job) }).decode(frames(payload, payload)),
  "a value of another type": Codec.json(Job).encode({ id: payload } as never),
  "a value of another type, by name": Codec.frames({ job: Codec.json(Job) }).encode({ job: { id: payload } } as never)
}

it("a payload would be found, in whatever way it is shown", () => {
  const wrong = [new Error(payload), Object.assign(new Error("no"), { frames: frames(payload) }), { payload }]
  for (const [way, show] of Object.entries(ways)) {
    expect([way, wrong.some((value) => shows(show(value)))]).toEqual([way, true])
  }
})

for (const [name, result] of Object.entries(refused)) {
  it(`${name}: is in the error, and not in what is printed of it`, () => {
    if (Result.isSuccess(result)) throw new Error("it was accepted")
    const error = result.failure
    const carried = error._tag === "DecodeError" ? error.frames.join("") : JSON.stringify(error.value)
    expect(carried).toContain(word)
    // To look at all that is hidden is to ask for it.
    const { "inspected to the bottom": _, "inspected to the bottom, whatever it says of itself": __, ...asUsual } = ways
    for (const [way, show] of Object.entries(asUsual)) {
      expect([way, shows(show(error)), show(error).includes(error._tag)]).toEqual([way, false, true])
    }
    expect(error.message).toMatch(/^(decode|encode): expected /)
    expect(error.stack).toContain(`${error._tag}: ${error.message}`)
    expect(shows(error.stack!)).toBe(false)
  })
}

it("what a record's keys make an issue say is cut", () => {
  const result = Codec.json(Schema.Record(Schema.String, Schema.Number)).decode(
    frames(JSON.stringify({ [payload]: "" }))
  )
  if (Result.isSuccess(result)) throw new Error("it was accepted")
  const { cause, message } = result.failure
  expect(message.length).toBeLessThan(500)
  expect(Cause.pretty(Cause.fail(result.failure)).length).toBeLessThan(3000)
  // Whoever asks has it all.
  expect(
    Schema.isSchemaError(cause) && inspect(cause.issue, { maxStringLength: null, depth: 5 }).includes(payload)
  ).toBe(true)
})

it.live("a receive that fails and is logged as JSON leaves a short line, and its error has the frames", () =>
  Effect.gen(function* () {
    const pull = yield* Zmq.pull({ bind: freshEndpoint("inproc") })
    const push = yield* Zmq.push({ connect: boundTo(pull) })
    yield* push.send([payload, payload])
    const exit = yield* Effect.exit(pull.recvSchema(Job))
    if (Exit.isSuccess(exit)) throw new Error("it was accepted")
    const lines: Array<string> = []
    const logger = Logger.map(Logger.formatJson, (line) => void lines.push(line))
    const error = yield* Effect.flip(exit)
    if (error._tag !== "DecodeError") throw error
    yield* Effect.logError(error, exit.cause).pipe(Effect.provide(Logger.layer([logger])))
    expect(lines).toHaveLength(1)
    expect(shows(lines[0]!)).toBe(false)
    expect(lines[0]!.length).toBeLessThan(3000)
    expect(lines[0]).toContain("got 2 frames of 100000, 100000 bytes")
    expect(error.frames.map(String)).toEqual([payload, payload])
  })
)
