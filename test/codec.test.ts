/** Codecs, on sockets and by themselves. */
import { spawnSync } from "node:child_process"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Result, Schedule, Schema, SchemaGetter, Stream } from "effect"
import { Codec, Zmq } from "effect-zmq"
import { expectTypeOf } from "vitest"
import { runCommand, scriptPath } from "./support/child.ts"
import { messageOf, openNow } from "./support/scripted.ts"
import { boundTo, freshEndpoint } from "./support/sockets.ts"

const Header = Schema.Struct({ version: Schema.Int, by: Schema.optionalKey(Schema.String) })
const Photo = Schema.Struct({
  pixels: Schema.Uint8Array,
  taken: Schema.Date,
  size: Schema.BigInt,
  scale: Schema.Number,
  labels: Schema.Array(Schema.String)
})
const photo: typeof Photo.Type = {
  pixels: Uint8Array.of(1, 2, 3),
  taken: new Date("2025-06-01T10:00:00.123Z"),
  size: 2n ** 60n,
  scale: 1.5,
  labels: ["grün"]
}
const album = Codec.frames({ topic: Codec.string, header: Codec.json(Header), body: Codec.msgpack(Photo) })

/** With Buffers as what they are, as they equal no other Uint8Array. */
const plain = (value: typeof photo) => ({ ...value, pixels: Uint8Array.from(value.pixels) })

describe("types", () => {
  type Received<A> = Effect.Effect<A, Zmq.Again | Zmq.Closed | Zmq.DecodeError>

  it("a codec has the type of its schema, and frames that of their codecs", () => {
    expectTypeOf(Codec.json(Header)).toEqualTypeOf<Codec.FrameCodec<typeof Header.Type>>()
    expectTypeOf(Codec.msgpack(Photo)).toEqualTypeOf<Codec.FrameCodec<typeof Photo.Type>>()
    expectTypeOf(Codec.binary(Photo)).toEqualTypeOf<Codec.FrameCodec<typeof Photo.Type>>()
    expectTypeOf(album).toEqualTypeOf<
      Codec.Codec<{ topic: string; header: typeof Header.Type; body: typeof Photo.Type }>
    >()
    const pair = Codec.frames([Codec.string, Codec.bytes])
    expectTypeOf(pair).toEqualTypeOf<Codec.Codec<readonly [string, Uint8Array]>>()
  })

  it("a receive gives what the codec decodes, and a send takes it", () => {
    const use = (pull: Zmq.Pull, push: Zmq.Push) => ({
      recv: pull.recvAs(album),
      stream: pull.streamAs(Codec.bytes),
      send: push.sendAs(Codec.msgpack(Header))
    })
    type Used = ReturnType<typeof use>
    expectTypeOf<Used["recv"]>().toEqualTypeOf<
      Received<{ topic: string; header: typeof Header.Type; body: typeof Photo.Type }>
    >()
    expectTypeOf<Used["stream"]>().toEqualTypeOf<Stream.Stream<Uint8Array, Zmq.Again | Zmq.Closed | Zmq.DecodeError>>()
    expectTypeOf<Used["send"]>().toEqualTypeOf<
      (value: typeof Header.Type) => Effect.Effect<void, Zmq.Again | Zmq.Closed | Zmq.EncodeError>
    >()
    expectTypeOf(Zmq.recvAs(Codec.string)).toEqualTypeOf<
      Effect.Effect<string, Zmq.Again | Zmq.Closed | Zmq.DecodeError, Zmq.Receiver>
    >()
    expectTypeOf(Zmq.streamAs(Codec.string)).toEqualTypeOf<
      Stream.Stream<string, Zmq.Again | Zmq.Closed | Zmq.DecodeError, Zmq.Receiver>
    >()
    expectTypeOf(Zmq.sendAs(Codec.string)("a")).toEqualTypeOf<
      Effect.Effect<void, Zmq.Again | Zmq.Closed | Zmq.EncodeError, Zmq.Sender>
    >()
  })

  it("and what makes no sense does not compile", () => {
    interface Database {
      readonly _: "database"
    }
    const needs = Schema.String as unknown as Schema.Codec<string, string, Database, never>
    const whole = Codec.make<string>({ encode: (text) => text, decode: ([frame]) => frame.toString() })
    const wrong = (push: Zmq.Push, pull: Zmq.Pull) => [
      // @ts-expect-error a schema that needs a service
      Codec.json(needs),
      // @ts-expect-error a schema that needs a service
      Codec.msgpack(needs),
      // @ts-expect-error a schema that needs a service
      Codec.binary(needs),
      // @ts-expect-error a codec of whole messages is not one of a frame
      Codec.frames([whole]),
      // @ts-expect-error nor is one of several frames
      Codec.frames({ inner: album }),
      // @ts-expect-error no frames at all
      Codec.frames([]),
      // @ts-expect-error not what the codec encodes
      push.sendAs(Codec.string)(1),
      // @ts-expect-error a frame is missing
      push.sendAs(album)({ topic: "a", header: { version: 1 } }),
      // @ts-expect-error a schema is no codec
      pull.recvAs(Header)
    ]
    expect(wrong).toBeTypeOf("function")
  })
})

describe("on sockets", () => {
  it.live("each codec sends, and receives what it has sent", () =>
    Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: "inproc://codecs" })
      const push = yield* Zmq.push({ connect: "inproc://codecs" })
      const there = <A>(codec: Codec.Codec<A>, value: A) =>
        Effect.andThen(push.sendAs(codec)(value), pull.recvAs(codec))
      expect(yield* there(Codec.string, "grün")).toBe("grün")
      expect(Buffer.from(yield* there(Codec.bytes, Uint8Array.of(0, 255))).toString("hex")).toBe("00ff")
      for (const codec of [
        Codec.json(Photo),
        Codec.msgpack(Photo),
        Codec.binary(Photo),
        Codec.binary(Photo, { fingerprint: true })
      ]) {
        expect(plain(yield* there(codec, photo))).toEqual(photo)
      }
      const message = { topic: "album", header: { version: 1 }, body: photo }
      const received = yield* there(album, message)
      expect({ ...received, body: plain(received.body) }).toEqual(message)
      expect(yield* there(Codec.frames([Codec.string, Codec.json(Header)]), ["a", { version: 2 }])).toEqual([
        "a",
        { version: 2 }
      ])
    })
  )

  it.live("recvSchema and sendSchema are the codec json", () =>
    Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: "inproc://json" })
      const push = yield* Zmq.push({ connect: "inproc://json" })
      yield* push.sendSchema(Photo)(photo)
      expect(plain(yield* pull.recvAs(Codec.json(Photo)))).toEqual(photo)
      yield* push.sendAs(Codec.json(Photo))(photo)
      expect(plain(yield* pull.recvSchema(Photo))).toEqual(photo)
    })
  )

  it.live("a codec works through the services, too, and as a stream", () =>
    Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: "inproc://services" })
      const push = yield* Zmq.push({ connect: "inproc://services" })
      const codec = Codec.msgpack(Header)
      for (const version of [1, 2, 3]) {
        yield* Effect.provideService(Zmq.sendAs(codec)({ version }), Zmq.Sender, push)
      }
      expect(yield* Effect.provideService(Zmq.recvAs(codec), Zmq.Receiver, pull)).toEqual({ version: 1 })
      const rest = Zmq.streamAs(codec).pipe(Stream.take(2), Stream.runCollect)
      expect(yield* Effect.provideService(rest, Zmq.Receiver, pull)).toEqual([{ version: 2 }, { version: 3 }])
    })
  )

  it.live("an element of streamAs that was not handled is received again", () =>
    Effect.promise(async () => {
      const { port, socket } = openNow(Zmq.pull())
      port.arrive("1", "2", "3")
      const handled: Array<number> = []
      const codec = Codec.json(Schema.Number)
      const run = socket
        .streamAs(codec)
        .pipe(Stream.runForEach((n) => (n === 2 ? Effect.fail("no" as const) : Effect.sync(() => handled.push(n)))))
      expect(Exit.isFailure(await Effect.runPromiseExit(run))).toBe(true)
      expect(handled).toEqual([1])
      expect(await Effect.runPromise(socket.recvAs(codec))).toBe(2)
    })
  )

  it.live("a schema is made into a decoder once for each receive that is made, and not for each message", () =>
    Effect.promise(async () => {
      let made = 0
      const Counted = Schema.declareConstructor<unknown>()(
        [],
        () => {
          made++
          return (input) => Effect.succeed(input)
        },
        { toCodecJson: () => undefined }
      )
      const { port, socket } = openNow(Zmq.pull())
      for (const recv of [socket.recvSchema(Counted), socket.recvAs(Codec.json(Counted))]) {
        made = 0
        port.arrive("1", "2", "3")
        for (const n of [1, 2, 3]) expect(await Effect.runPromise(recv)).toBe(n)
        expect(made).toBeLessThanOrEqual(1)
      }
    })
  )
})

describe("what cannot be decoded", () => {
  /** The error of a receive, and what the next receive gets. */
  const refusal = async <A>(codec: Codec.Codec<A>, ...frames: [string, ...Array<string>]) => {
    const { port, socket } = openNow(Zmq.pull())
    const message = messageOf(...frames)
    port.arriveMessage(message)
    port.arrive("the next")
    const error = await Effect.runPromise(Effect.flip(socket.recvAs(codec)))
    if (error._tag !== "DecodeError") throw error
    expect(error.frames.map(String)).toEqual(frames)
    expect(error.operation).toBe("recvAs")
    expect(await Effect.runPromise(socket.recvString)).toBe("the next")
    // By itself the codec says the same.
    const alone = codec.decode(message)
    expect(Result.isFailure(alone) && alone.failure.reason).toBe(error.reason.replace(/^recvAs/, "decode"))
    return error
  }

  it.live("costs nothing else, and the error has the frames and says what is wrong with them", () =>
    Effect.promise(async () => {
      const json = Codec.json(Header)
      expect((await refusal(json, "{")).reason).toBe("recvAs: expected one frame of JSON, got one frame of 1 bytes")
      expect((await refusal(json, "{}")).reason).toMatch(
        /^recvAs: expected one frame of JSON of the schema's shape: .*version.*, got one frame of 2 bytes$/s
      )
      expect((await refusal(json, "{}", "")).reason).toBe(
        "recvAs: expected one frame of JSON, got 2 frames of 2, 0 bytes"
      )
      const msgpack = Codec.msgpack(Header)
      expect(`${(await refusal(msgpack, "\x7f\x7f")).cause}`).toBe("MsgpackError: 1 bytes after the value")
      expect((await refusal(msgpack, "\x7f")).reason).toMatch(
        /^recvAs: expected one frame of MessagePack of the schema/
      )
      expect((await refusal(Codec.binary(Header), "{}")).reason).toMatch(
        /^recvAs: expected one frame of Effect's binary/
      )
      expect((await refusal(Codec.binary(Header, { fingerprint: true }), "")).reason).toMatch(/binary encoding/)
      expect((await refusal(Codec.string, "a", "b")).reason).toBe(
        "recvAs: expected one frame of UTF-8 text, got 2 frames of 1, 1 bytes"
      )
    })
  )

  it.live("names the frame", () =>
    Effect.promise(async () => {
      expect((await refusal(album, "topic", "{}")).reason).toBe(
        "recvAs: expected 3 frames: topic (UTF-8 text), header (JSON), body (MessagePack), got 2 frames of 5, 2 bytes"
      )
      expect((await refusal(album, "topic", "{}", "")).reason).toMatch(/expected frame header to be JSON of the schema/)
      expect((await refusal(album, "topic", `{"version":1}`, "x")).reason).toMatch(
        /expected frame body to be MessagePack/
      )
      const list = Codec.frames([Codec.string, Codec.json(Header)])
      expect((await refusal(list, "a", "")).reason).toMatch(/expected frame 1 to be JSON, got 2 frames of 1, 0 bytes/)
    })
  )

  it.live("is what a codec of one's own throws at", () =>
    Effect.promise(async () => {
      const fault = new RangeError("not today")
      const decode = () => {
        throw fault
      }
      const throwing = Codec.frame<string>({ encode: String, decode })
      expect((await refusal(throwing, "a")).cause).toBe(fault)
      expect((await refusal(Codec.make<string>({ encode: String, decode }), "a")).cause).toBe(fault)
      expect((await refusal(Codec.frames({ it: throwing }), "a")).cause).toBe(fault)
    })
  )

  it.live("is what a schema would have to wait for", () =>
    Effect.promise(async () => {
      const Slow = Schema.String.pipe(
        Schema.decode({
          decode: SchemaGetter.transformEffect((_: string) => Effect.never),
          encode: SchemaGetter.passthrough<string>()
        })
      )
      expect((await refusal(Codec.json(Slow), `"a"`)).reason).toMatch(/^recvAs: expected one frame of JSON/)
    })
  )

  it.live("does not stop a loop that is told to go on", () =>
    Effect.promise(async () => {
      const { port, socket } = openNow(Zmq.pull())
      port.arrive("1", "one", "3")
      const number = Effect.catchTag(socket.recvAs(Codec.json(Schema.Number)), "DecodeError", (error) =>
        Effect.succeed(`${error.frames[0]}`)
      )
      const numbers = Stream.fromEffect(number).pipe(Stream.repeat(Schedule.forever))
      expect(await Effect.runPromise(Stream.runCollect(Stream.take(numbers, 3)))).toEqual([1, "one", 3])
    })
  )
})

describe("what cannot be encoded", () => {
  /** The error of a send, after which the socket has sent nothing, and sends. */
  const refusal = async <A>(codec: Codec.Codec<A>, value: unknown) => {
    const { port, socket } = openNow(Zmq.push())
    const error = await Effect.runPromise(Effect.flip(socket.sendAs(codec)(value as A)))
    if (error._tag !== "EncodeError") throw error
    expect([error.operation, error.value]).toEqual(["sendAs", value])
    await Effect.runPromise(socket.send("the next"))
    expect(port.sent).toEqual(["the next"])
    return error
  }

  it.live("is not sent, and the error says why", () =>
    Effect.promise(async () => {
      for (const codec of [Codec.json(Header), Codec.msgpack(Header), Codec.binary(Header)]) {
        expect((await refusal(codec, { version: 1.5 })).message).toMatch(
          /^sendAs: expected a value of the schema's type: .*version.*\. It was not sent$/s
        )
      }
      expect((await refusal(Codec.string, 1)).expected).toBe("a string")
      expect((await refusal(Codec.bytes, "a")).expected).toBe("a Uint8Array")
      expect((await refusal(album, { topic: "a", header: { version: "1" }, body: photo })).expected).toMatch(
        /^frame header to be a value of the schema's type/
      )
      expect((await refusal(album, null)).expected).toBe("an object of topic, header, body")
      expect((await refusal(Codec.frames([Codec.string]), "a")).expected).toBe("a list of 1 values")
      expect((await refusal(Codec.msgpack(Schema.Any), () => 1)).expected).toBe("a value that MessagePack can hold")
    })
  )

  it.live("is what a codec of one's own throws at, or makes nonsense of", () =>
    Effect.promise(async () => {
      const fault = new RangeError("not today")
      const encode = () => {
        throw fault
      }
      const throwing = Codec.frame<string>({ encode, decode: String })
      expect((await refusal(throwing, "a")).cause).toBe(fault)
      expect((await refusal(Codec.make<string>({ encode, decode: String }), "a")).cause).toBe(fault)
      expect((await refusal(Codec.frames([throwing]), ["a"])).cause).toBe(fault)
      const nonsense = { encode: () => 1 as unknown as string, decode: String }
      expect((await refusal(Codec.frame<string>(nonsense), "a")).expected).toMatch(/a string or bytes/)
      const { socket } = openNow(Zmq.push())
      const error = await Effect.runPromise(Effect.flip(socket.sendAs(Codec.make<string>(nonsense))("a")))
      expect(error._tag).toBe("EncodeError")
    })
  )
})

const python = "/usr/bin/python3"
const hasPeer = spawnSync(python, ["-c", "import zmq, msgpack"]).status === 0
const missing = `${python} cannot import zmq and msgpack: install python3-zmq and python3-msgpack`

it("PyZMQ and Python's msgpack are there to talk to, or this is not CI", () => {
  expect(hasPeer || process.env.CI !== "true", missing).toBe(true)
})

describe.skipIf(!hasPeer)(hasPeer ? "PyZMQ with msgpack" : `PyZMQ with msgpack (${missing})`, () => {
  it.live("takes three frames of ours, and we take three of theirs", () =>
    Effect.gen(function* () {
      const pair = yield* Zmq.pair({ bind: freshEndpoint("tcp") })
      const peer = yield* Effect.forkChild(runCommand(python, [scriptPath("codecs.py"), boundTo(pair)]), {
        startImmediately: true
      })
      for (const topic of ["grün", "end"]) {
        yield* pair.sendAs(album)({ topic, header: { version: 3 }, body: photo })
        const { body, ...rest } = yield* pair.recvAs(album)
        expect(rest).toEqual({ topic, header: { version: 3, by: "python" } })
        expect(plain(body)).toEqual({
          pixels: Uint8Array.of(3, 2, 1),
          taken: photo.taken,
          size: photo.size + 1n,
          scale: Number.NaN,
          labels: ["list", "bytes", "float", "int", "datetime"]
        })
      }
      const { code, stderr } = yield* Fiber.join(peer)
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    })
  )
})
