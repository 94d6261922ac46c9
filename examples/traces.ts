/**
 * One trace through three services: a gateway asks, a shop answers and hands a job on, a worker does it.
 * Each has an OpenTelemetry of its own, as in processes of their own, and all export to one place.
 */
import * as Otel from "@effect/opentelemetry/OtelTracer"
import { NodeRuntime } from "@effect/platform-node"
import { resourceFromAttributes } from "@opentelemetry/resources"
import * as Sdk from "@opentelemetry/sdk-trace-base"
import { Deferred, Effect, Fiber, Layer, Schema } from "effect"
import { Codec, Zmq } from "effect-zmq"

// The trace goes in a first frame, as `traceparent`: peers in other languages read and write it.
const Order = Codec.traced(Codec.json(Schema.Struct({ item: Schema.String, count: Schema.Int })))
const Receipt = Codec.traced(Codec.json(Schema.Struct({ total: Schema.Int })))
const orders = { request: Order, reply: Receipt }

// In place of an `OTLPTraceExporter`. With the packages for logs and metrics, too, `NodeSdk.layer` does all of this.
const exporter = new Sdk.InMemorySpanExporter()
const telemetry = (service: string) => {
  const resource = resourceFromAttributes({ "service.name": service })
  const provider = new Sdk.BasicTracerProvider({ resource, spanProcessors: [new Sdk.SimpleSpanProcessor(exporter)] })
  return Otel.layer.pipe(Layer.provide(Layer.succeed(Otel.OtelTracerProvider, provider)))
}

const program = Effect.gen(function* () {
  const packed = yield* Deferred.make<void>()
  const until = Deferred.await(packed)
  const jobs = yield* Zmq.push({ bind: "tcp://127.0.0.1:*" })
  const router = yield* Zmq.router({ bind: "tcp://127.0.0.1:*" })
  const answer = (order: Codec.Type<typeof Order>) => Effect.as(jobs.sendAs(Order)(order), { total: order.count * 10 })
  const shop = router.serveAs(orders, answer, { span: "answer", until })
  const selling = yield* Effect.forkScoped(Effect.provide(shop, telemetry("shop")))

  const pull = yield* Zmq.pull({ connect: jobs.endpoints })
  const worker = pull.runForEachAs(Order, () => Deferred.succeed(packed, undefined), { span: "pack", until })
  const packing = yield* Effect.forkScoped(Effect.provide(worker, telemetry("worker")))

  const req = yield* Zmq.req({ connect: router.endpoints })
  const gateway = req.requestAs(orders)({ item: "book", count: 3 }, { span: "order" })
  const { total } = yield* Effect.provide(gateway, telemetry("gateway"))
  yield* Fiber.joinAll([selling, packing])
  console.log(`total: ${total}`)

  const spans = exporter.getFinishedSpans()
  const named = (span: Sdk.ReadableSpan) => `${span.resource.attributes["service.name"]}/${span.name}`
  let parent = spans.find(({ parentSpanContext }) => parentSpanContext === undefined)!
  console.log(`${named(parent)} began trace ${parent.spanContext().traceId}`)
  for (const _ of [1, 2]) {
    const { spanId } = parent.spanContext()
    const span = spans.find(({ parentSpanContext }) => parentSpanContext?.spanId === spanId)!
    console.log(`${named(span)}, asked by ${named(parent)}, is in trace ${span.spanContext().traceId}`)
    parent = span
  }
})

NodeRuntime.runMain(Effect.scoped(program))
