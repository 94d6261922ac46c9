/** What messages mean: JSON, MessagePack, Effect's binary encoding, several frames, and a codec of your own. */
import { deflateRawSync, inflateRawSync } from "node:zlib"
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Result, Schema } from "effect"
import { Codec, Zmq } from "effect-zmq"

const Header = Schema.Struct({ version: Schema.Int, camera: Schema.String })
const Picture = Schema.Struct({ taken: Schema.Date, pixels: Schema.Uint8Array })

// A message of three frames, each with its own codec.
const picture = Codec.frames({
  topic: Codec.string,
  header: Codec.json(Header),
  body: Codec.msgpack(Picture)
})

// Any functions that answer at once: here, compressed text.
const compressed = Codec.frame<string>({
  encode: (text) => deflateRawSync(text),
  decode: (frame) => inflateRawSync(frame, { maxOutputLength: 1_000_000 }).toString()
})

const program = Effect.gen(function* () {
  const viewer = yield* Zmq.pull()
  const camera = yield* Zmq.push({ connect: yield* viewer.bind("tcp://127.0.0.1:*") })

  yield* camera.sendAs(picture)({
    topic: "door",
    header: { version: 1, camera: "front" },
    body: { taken: new Date("2025-06-01T10:00:00Z"), pixels: new Uint8Array(500) }
  })
  const { body, header, topic } = yield* viewer.recvAs(picture)
  console.log(`${topic}: ${body.pixels.length} pixels of the ${header.camera} at ${body.taken.toISOString()}`)

  // How many bytes one value takes.
  const value = { taken: new Date("2025-06-01T10:00:00Z"), pixels: new Uint8Array(500) }
  for (const [name, codec] of Object.entries({
    json: Codec.json(Picture),
    msgpack: Codec.msgpack(Picture),
    binary: Codec.binary(Picture)
  })) {
    yield* camera.sendAs(codec)(value)
    const [frame] = yield* viewer.recv
    // By itself a codec answers with a Result.
    const same = Result.isSuccess(codec.decode([frame]))
    console.log(`${name}: ${frame.length} bytes, ${same ? "decoded" : "refused"}`)
  }

  yield* camera.sendAs(compressed)("over and over ".repeat(100))
  console.log(`${(yield* viewer.recvAs(compressed)).length} characters, inflated`)

  // A message that does not fit costs nothing else: the error has its frames.
  yield* camera.send(["door", "no header", "no body"])
  yield* camera.send("the next message")
  const error = yield* Effect.flip(viewer.recvAs(picture))
  if (error._tag === "DecodeError") console.log(error.reason)
  console.log(yield* viewer.recvString)
})

NodeRuntime.runMain(Effect.scoped(program))
