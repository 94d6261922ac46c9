/** Prices from a publisher that keeps the last one of each symbol: whoever subscribes late begins with that. */
import { NodeRuntime } from "@effect/platform-node"
import { Effect, HashMap, Option, Schema, Stream, SubscriptionRef } from "effect"
import { Codec, Zmq } from "effect-zmq"

const Tick = Codec.frames({
  symbol: Codec.string,
  header: Codec.json(Schema.Struct({ seq: Schema.Int })),
  body: Codec.msgpack(Schema.Struct({ bid: Schema.Number, ask: Schema.Number }))
})
type Tick = Codec.Type<typeof Tick>

const feed = Effect.gen(function* () {
  // An XPUB receives subscriptions: a byte 1, and the topic. All of them, not just the first to each topic.
  const socket = yield* Zmq.xpub({ bind: "tcp://127.0.0.1:*", verbosity: "allSubs" })
  const last = new Map<string, Tick>()
  const replay = socket.runForEach(([frame]) => {
    const topic = frame.toString("utf8", 1)
    const ticks = frame[0] === 1 ? [...last.values()].filter(({ symbol }) => symbol.startsWith(topic)) : []
    // To all who have subscribed to it: those who know it already see so by its number.
    return Effect.forEach(ticks, socket.sendAs(Tick))
  })
  yield* Effect.forkScoped(replay)
  const keep = (tick: Tick) => Effect.sync(() => void last.set(tick.symbol, tick))
  const publish = (tick: Tick) => Effect.andThen(keep(tick), socket.sendAs(Tick)(tick))
  return { endpoint: socket.endpoints[0]!, publish }
})

/** Keeps the newest tick of each symbol. What does not decode is in the log, and costs nothing else. */
const prices = Effect.fn(function* (connect: string, subscribe: string) {
  const socket = yield* Zmq.sub({ connect, subscribe })
  const newest = yield* SubscriptionRef.make(HashMap.empty<string, Tick>())
  const isNews = (known: Option.Option<Tick>, tick: Tick) =>
    Option.isNone(known) || known.value.header.seq < tick.header.seq
  const keep = socket.runForEachAs(Tick, (tick) =>
    SubscriptionRef.update(newest, (ticks) =>
      isNews(HashMap.get(ticks, tick.symbol), tick) ? HashMap.set(ticks, tick.symbol, tick) : ticks
    )
  )
  yield* Effect.forkScoped(keep)
  return SubscriptionRef.changes(newest)
})

const program = Effect.gen(function* () {
  const { endpoint, publish } = yield* feed
  // Nobody has subscribed yet.
  yield* publish({ symbol: "ACME", header: { seq: 1 }, body: { bid: 10, ask: 11 } })
  for (const name of ["early", "late"]) {
    const changes = yield* prices(endpoint, "ACME")
    const known = Option.getOrThrow(yield* Stream.runHead(Stream.filter(changes, HashMap.has("ACME"))))
    const { body, header } = HashMap.getUnsafe(known, "ACME")
    console.log(`${name}: ACME ${body.bid}/${body.ask}, number ${header.seq}`)
    yield* publish({ symbol: "ACME", header: { seq: 2 }, body: { bid: 12, ask: 13 } })
  }
})

NodeRuntime.runMain(Effect.scoped(program))
