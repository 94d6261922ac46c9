/** One trace through three services: a gateway asks, a service answers and hands a job on, a worker does it. */
import { NodeRuntime } from "@effect/platform-node"
import { Deferred, Effect, Schema, Stream, Tracer } from "effect"
import { Codec, Zmq } from "effect-zmq"

const Order = Codec.traced(Codec.json(Schema.Struct({ item: Schema.String, count: Schema.Number })))
const Receipt = Codec.traced(Codec.json(Schema.Struct({ total: Schema.Number })))

const gateway = (shopAt: string) =>
  Effect.gen(function* () {
    const shop = yield* Zmq.req({ connect: shopAt, receiveTimeout: "10 seconds" })
    const order = yield* Effect.fromResult(Order.encode({ item: "book", count: 3 }))
    const reply = yield* shop.request(order, { span: "request" })
    return yield* Effect.fromResult(Receipt.decode(reply))
  }).pipe(Effect.withSpan("gateway"))

const shop = Effect.fn(function* (jobs: Zmq.Push, request: Zmq.Message) {
  const order = yield* Effect.fromResult(Order.decode(request))
  return yield* Effect.gen(function* () {
    yield* jobs.sendAs(Order)(order)
    return yield* Effect.fromResult(Receipt.encode({ total: order.count * 10 }))
  }).pipe(Effect.withSpan("shop", { parent: Codec.parentOf(order), kind: "server" }))
})

const spans: Array<Tracer.NativeSpan> = []
// In place of OpenTelemetry: what the services would send there.
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
  const orders = yield* Zmq.router({ bind: "tcp://127.0.0.1:*" })
  yield* Effect.forkScoped(orders.serve((request) => shop(jobs, request)))

  const worker = yield* Zmq.pull({ connect: jobs.endpoints[0]! })
  const pack = (order: typeof Order extends Codec.Codec<infer A> ? A : never) =>
    Deferred.succeed(packed, undefined).pipe(Effect.withSpan("worker", { parent: Codec.parentOf(order) }))
  yield* Effect.forkScoped(Stream.runForEach(worker.streamAs(Order), pack))

  const { total } = yield* gateway(orders.endpoints[0]!)
  yield* Deferred.await(packed)
  console.log(`total: ${total}`)
  for (const { name, parent, traceId } of spans.filter(({ name }) => name !== "request")) {
    const from = parent._tag === "None" ? "nobody" : spans.find(({ spanId }) => spanId === parent.value.spanId)?.name
    console.log(`${name}: asked by ${from}, in ${traceId === spans[0]!.traceId ? "the same trace" : "another trace"}`)
  }
})

NodeRuntime.runMain(program.pipe(Effect.scoped, Effect.provideService(Tracer.Tracer, tracer)))
