/** Traces that go on across the wire: a first frame with the `traceparent` of whoever sends. */
import { spawnSync } from "node:child_process"
import { expect, it } from "@effect/vitest"
import { Effect, Fiber, Option, Result, Schedule, Schema, Stream, Tracer } from "effect"
import { Codec, Zmq } from "effect-zmq"
import { runCommand, scriptPath } from "./support/child.ts"
import { messageOf } from "./support/scripted.ts"
import { boundTo, freshEndpoint, texts, until } from "./support/sockets.ts"

const Job = Schema.Struct({ id: Schema.Number })
const job = Codec.traced(Codec.json(Job))
const text = Codec.traced(Codec.json(Schema.String))

/** A tracer that keeps its spans, and by which an effect runs. */
const recorded = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  const parentOf = (name: string) => {
    const parent = spans.find((span) => span.name === name)!.parent
    return parent._tag === "Some" ? parent.value : undefined
  }
  return { spans, parentOf, trace: Effect.provideService(Tracer.Tracer, tracer) }
}

const traceId = "0af7651916cd43dd8448eb211c80319c"
const spanId = "b7ad6b7169203331"
const traceparent = `00-${traceId}-${spanId}-01`
const decoded = <A>(codec: Codec.Codec<A>, ...frames: [string, ...Array<string>]) =>
  Result.getOrThrow(codec.decode(messageOf(...frames)))

it.effect("a message carries the span that its sender is in, and no span is an empty frame", () =>
  Effect.gen(function* () {
    const encode = Effect.sync(() => Result.getOrThrow(job.encode({ id: 1 })))
    const { spans, trace } = recorded()
    const [header, body] = yield* encode.pipe(Effect.withSpan("send"), trace)
    expect(header).toBe(`00-${spans[0]!.traceId}-${spans[0]!.spanId}-01`)
    expect(body).toBe('{"id":1}')
    const external = Tracer.externalSpan({ traceId, spanId, sampled: false })
    expect((yield* Effect.withParentSpan(encode, external))[0]).toBe(`00-${traceId}-${spanId}-00`)
    expect(yield* encode).toEqual(["", '{"id":1}'])
    // Outside of fibers.
    expect(job.encode({ id: 1 })).toEqual(Result.succeed(["", '{"id":1}']))
    const frames = Codec.traced(Codec.frames([Codec.string, Codec.string]))
    expect(yield* Effect.sync(() => frames.encode(["a", "b"]))).toEqual(Result.succeed(["", "a", "b"]))
    expect(Result.isFailure(job.encode({ id: "1" } as never))).toBe(true)
  })
)

it("whoever decodes has the span, and nonsense is as good as none", () => {
  expect(Codec.parentOf(decoded(job, traceparent, '{"id":1}'))).toMatchObject({ traceId, spanId, sampled: true })
  expect(Codec.parentOf(decoded(job, `00-${traceId}-${spanId}-00`, '{"id":1}'))?.sampled).toBe(false)
  // Of a later version.
  expect(Codec.parentOf(decoded(job, `01-${traceId}-${spanId}-01-more`, '{"id":1}'))?.spanId).toBe(spanId)
  const nonsense = [
    "",
    "x",
    traceparent.toUpperCase(),
    `00-${"0".repeat(32)}-${spanId}-01`,
    `00-${traceId}-${"0".repeat(16)}-01`,
    `00-${traceId}-${spanId}`,
    ` ${traceparent}`,
    `${traceparent}-${"x".repeat(100_000)}`
  ]
  for (const header of nonsense) {
    const value = decoded(job, header, '{"id":1}')
    expect(value).toEqual({ id: 1 })
    expect(Codec.parentOf(value)).toBeUndefined()
  }
  for (const value of ["text", 1, null, undefined, {}, decoded(text, traceparent, '"a"')]) {
    expect(Codec.parentOf(value)).toBeUndefined()
  }
  const reason = (...frames: [string, ...Array<string>]) => {
    const result = job.decode(messageOf(...frames))
    return Result.isFailure(result) ? result.failure.reason : "decoded"
  }
  expect(reason('{"id":1}')).toBe(
    "decode: expected a first frame with the trace, and others behind it, got one frame of 8 bytes"
  )
  expect(reason("", "a", "b")).toBe(
    "decode: expected behind the trace one frame of JSON, got 3 frames of 0, 1, 1 bytes"
  )
})

it.live("what handles a message by its codec is in the trace, whatever the value is", () =>
  Effect.gen(function* () {
    const { parentOf, spans, trace } = recorded()
    const pull = yield* Zmq.pull({ bind: freshEndpoint("inproc") })
    const push = yield* Zmq.push({ connect: boundTo(pull) })
    yield* push.sendAll([
      [traceparent, '"traced"'],
      ["", '"untraced"']
    ])
    let tries = 0
    const handle = (value: string) =>
      Effect.suspend(() => (value === "traced" && tries++ === 0 ? Effect.fail("again") : Effect.void)).pipe(
        Effect.withSpan(`handle ${value} ${tries}`)
      )
    const running = yield* Effect.forkChild(
      pull.runForEachAs(text, handle, { span: "job", retry: Schedule.recurs(1) }).pipe(trace)
    )
    yield* until(Effect.sync(() => spans.some(({ name }) => name === "handle untraced 2")))
    yield* Fiber.interrupt(running)
    for (const name of ["handle traced 0", "handle traced 1"]) {
      const job = parentOf(name) as Tracer.Span
      expect(job.name).toBe("job")
      expect(Option.getOrUndefined(job.parent)).toMatchObject({ traceId, spanId })
    }
    expect((parentOf("handle untraced 2") as Tracer.Span).parent).toEqual(Option.none())
  })
)

for (const [type, open] of [
  ["rep", Zmq.rep],
  ["router", Zmq.router]
] as const) {
  it.live(`one trace goes from a client through a ${type} that serves by codecs, for values of any kind`, () =>
    Effect.gen(function* () {
      const { parentOf, spans, trace } = recorded()
      const server = (yield* open({ bind: freshEndpoint("tcp") })) as Zmq.Rep
      const client = yield* Zmq.req({ connect: boundTo(server) })
      const codecs = { request: text, reply: Codec.traced(Codec.json(Schema.Number)) }
      yield* Effect.forkScoped(server.serveAs(codecs, (value) => Effect.succeed(value.length), { span: "serve" })).pipe(
        trace
      )
      const length = client.requestAs(codecs)("twelve chars", { span: "ask" }).pipe(Effect.withSpan("client"), trace)
      expect(yield* length).toBe(12)
      yield* until(Effect.sync(() => spans.some(({ name }) => name === "serve")))
      expect(parentOf("ask")?.spanId).toBe(spans.find(({ name }) => name === "client")!.spanId)
      expect(parentOf("serve")?.spanId).toBe(spans.find(({ name }) => name === "ask")!.spanId)
    })
  )
}

for (const transport of ["inproc", "tcp"] as const) {
  it.live(`spans of a receiver and of a stream belong to the trace of the sender, over ${transport}`, () =>
    Effect.gen(function* () {
      const { parentOf, spans, trace } = recorded()
      const pull = yield* Zmq.pull({ bind: freshEndpoint(transport) })
      const push = yield* Zmq.push({ connect: boundTo(pull) })
      const send = (id: number) =>
        push
          .sendAs(job)({ id })
          .pipe(Effect.withSpan(`send ${id}`))
      const handle = (one: typeof Job.Type) =>
        Effect.void.pipe(Effect.withSpan(`handle ${one.id}`, { parent: Codec.parentOf(one) }))
      yield* Effect.gen(function* () {
        for (const id of [0, 1, 2]) yield* send(id)
        yield* handle(yield* pull.recvAs(job))
        yield* Stream.runForEach(Stream.take(pull.streamAs(job), 2), handle)
      }).pipe(trace)
      for (const id of [0, 1, 2]) {
        expect(parentOf(`handle ${id}`)?.spanId).toBe(spans.find(({ name }) => name === `send ${id}`)!.spanId)
      }
    })
  )
}

it.live("a request has a span where one is asked for, of the asking side, on REQ and DEALER", () =>
  Effect.gen(function* () {
    const { spans, trace } = recorded()
    const router = yield* Zmq.router({ bind: freshEndpoint("inproc") })
    yield* Effect.forkScoped(router.serve((request) => Effect.succeed(request)))
    const req = yield* Zmq.req({ connect: boundTo(router) })
    const dealer = yield* Zmq.dealer({ connect: boundTo(router) })
    const ask = Effect.gen(function* () {
      expect(texts(yield* req.request("a", { span: "ask" }))).toEqual(["a"])
      yield* dealer.request("a", { span: "deal" })
      yield* Zmq.request("a", { span: "access" }).pipe(Effect.provide(Zmq.layer(Effect.succeed(dealer))))
      yield* dealer.request("a")
      // Whatever calls it with more than a message.
      yield* Effect.forEach(["a", "b"], dealer.request)
    })
    yield* ask.pipe(Effect.withSpan("all"), trace)
    expect(spans.map(({ name }) => name)).toEqual(["all", "ask", "deal", "access"])
    for (const span of spans.slice(1)) {
      expect([span.kind, span.status._tag, span.attributes.get("messaging.operation.name")]).toEqual([
        "client",
        "Ended",
        "request"
      ])
      expect(span.traceId).toBe(spans[0]!.traceId)
    }
  })
)

const python = "/usr/bin/python3"

const isThere = spawnSync(python, ["-c", "import zmq"]).status === 0

it.live.skipIf(!isThere)("a peer in Python reads the trace, and writes its own span", () =>
  Effect.gen(function* () {
    const { parentOf, spans, trace } = recorded()
    const req = yield* Zmq.req({ bind: freshEndpoint("tcp") })
    const peer = yield* Effect.forkChild(runCommand(python, [scriptPath("traced.py"), "rep", boundTo(req)]), {
      startImmediately: true
    })
    const Answer = Codec.traced(Codec.frames([Codec.json(Schema.String)]))
    const ask = (question: string) =>
      Effect.gen(function* () {
        const message = yield* Effect.fromResult(text.encode(question))
        const answer = yield* Effect.fromResult(Answer.decode(yield* req.request(message)))
        yield* Effect.void.pipe(Effect.withSpan(`read ${question}`, { parent: Codec.parentOf(answer) }))
        return answer[0]
      }).pipe(Effect.withSpan(`ask ${question}`))
    const asked = yield* Effect.all([ask("a"), ask("stop")]).pipe(trace)
    const spanOf = (name: string) => spans.find((span) => span.name === name)!
    // It has read the span that asked, and answers with one of its own in the same trace.
    expect(asked).toEqual([spanOf("ask a").spanId, spanOf("ask stop").spanId])
    for (const question of ["a", "stop"]) {
      expect(parentOf(`read ${question}`)).toMatchObject({
        spanId: "00f067aa0ba902b7",
        traceId: spanOf(`ask ${question}`).traceId
      })
    }
    expect(yield* Fiber.join(peer)).toMatchObject({ code: 0, stderr: "", stdout: "done\n" })
  })
)
