/** One trace through three services: a gateway asks, a shop answers and hands a job on, a worker does it. */
import { NodeRuntime } from "@effect/platform-node"
import { Deferred, Effect, Schema, Tracer } from "effect"
import { Codec, Zmq } from "effect-zmq"

// The trace goes in a first frame, as `traceparent`: peers in other languages read and write it.
const Order = Codec.traced(Codec.json(Schema.Struct({ item: Schema.String, count: Schema.Int })))
const Receipt = Codec.traced(Codec.json(Schema.Struct({ total: Schema.Int })))
const orders = { request: Order, reply: Receipt }

const spans: Array<Tracer.NativeSpan> = []
// In place of OpenTelemetry (`Otlp.layerJson` of `effect/observability`, or `@effect/opentelemetry`).
const tracer = Tracer.make({
  span: (options) => {
    const span = new Tracer.NativeSpan(options)
    spans.push(span)
    return span
  }
})

const program = Effect.gen(function* () {
  const packed = yield* Deferred.make<void>()
  const jobs = yield* Zmq.push({ bind: "tcp://127.0.0.1:*" })
  const shop = yield* Zmq.router({ bind: "tcp://127.0.0.1:*" })
  const answer = (order: Codec.Type<typeof Order>) => Effect.as(jobs.sendAs(Order)(order), { total: order.count * 10 })
  yield* Effect.forkScoped(shop.serveAs(orders, answer, { span: "shop" }))

  const worker = yield* Zmq.pull({ connect: jobs.endpoints })
  const pack = () => Deferred.succeed(packed, undefined)
  yield* Effect.forkScoped(worker.runForEachAs(Order, pack, { span: "worker" }))

  const gateway = yield* Zmq.req({ connect: shop.endpoints })
  const { total } = yield* gateway.requestAs(orders)({ item: "book", count: 3 }, { span: "gateway" })
  yield* Deferred.await(packed)
  console.log(`total: ${total}`)
  for (const { name, parent, traceId } of spans) {
    const from = parent._tag === "None" ? "nobody" : spans.find(({ spanId }) => spanId === parent.value.spanId)?.name
    console.log(`${name}: asked by ${from}, in ${traceId === spans[0]!.traceId ? "the same trace" : "another trace"}`)
  }
})

NodeRuntime.runMain(program.pipe(Effect.scoped, Effect.provideService(Tracer.Tracer, tracer)))
