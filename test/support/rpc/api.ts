/** Procedures of every kind, and what is to come of calling them. */
import { Cause, Context, Deferred, Effect, Exit, Fiber, Layer, Option, Queue, Schema, Stream, Tracer } from "effect"
import { Rpc, RpcClient, RpcGroup, RpcMiddleware, type RpcServer } from "effect/rpc"
import { until } from "../sockets.ts"

export class NotFound extends Schema.TaggedError<NotFound>()("NotFound", { id: Schema.Number }) {}
export class Denied extends Schema.TaggedError<Denied>()("Denied", {}) {}

class User extends Context.Service<User, { readonly name: string }>()("test/User") {}

class Auth extends RpcMiddleware.Service<Auth, { provides: User }>()("test/Auth", { error: Denied }) {}

const Item = Schema.Struct({ at: Schema.Date, size: Schema.BigInt, tags: Schema.Array(Schema.String) })

export class Api extends RpcGroup.make(
  Rpc.make("get", { payload: { id: Schema.Number }, success: Schema.String, error: NotFound }),
  Rpc.make("echo", { payload: { text: Schema.String }, success: Schema.String }),
  Rpc.make("item", { payload: Item, success: Item }),
  Rpc.make("nothing"),
  Rpc.make("die", { success: Schema.String }),
  Rpc.make("stop", { success: Schema.String }),
  Rpc.make("headers", { success: Schema.String }),
  Rpc.make("whoAmI", { success: Schema.String }).middleware(Auth),
  Rpc.make("trace", { success: Schema.Struct({ trace: Schema.String, parent: Schema.String }) }),
  Rpc.make("note", { payload: { text: Schema.String } }),
  Rpc.make("forever", { payload: { name: Schema.String }, success: Schema.String }),
  Rpc.make("count", { payload: { to: Schema.Number }, success: Schema.Number, stream: true }),
  Rpc.make("chunks", {
    payload: { chunks: Schema.Number, of: Schema.Number },
    success: Schema.Number,
    stream: true
  }),
  Rpc.make("breaks", { payload: { after: Schema.Number }, success: Schema.Number, error: NotFound, stream: true }),
  Rpc.make("queue", { payload: { to: Schema.Number }, success: Schema.Number, stream: true }),
  Rpc.make("ticks", { payload: { name: Schema.String }, success: Schema.Number, stream: true })
) {}

/** What the handlers have seen. */
export class Seen extends Context.Service<
  Seen,
  {
    readonly notes: Array<string>
    readonly running: Set<string>
    readonly interrupted: Array<string>
    readonly emitted: Map<string, number>
  }
>()("test/Seen") {
  static readonly make = () => Seen.of({ notes: [], running: new Set(), interrupted: [], emitted: new Map() })
}

const AuthLive = Layer.succeed(
  Auth,
  Auth.of((effect, { headers }) =>
    headers.user === undefined ? Effect.fail(new Denied()) : Effect.provideService(effect, User, { name: headers.user })
  )
)

const observed = (seen: Seen["Service"], name: string) => ({
  acquire: Effect.sync(() => void seen.running.add(name)),
  release: (exit: Exit.Exit<unknown, unknown>) =>
    Effect.sync(() => {
      seen.running.delete(name)
      if (Exit.isFailure(exit) && Cause.hasInterrupts(exit.cause)) seen.interrupted.push(name)
    })
})

export const handlers = Layer.provideMerge(
  Api.toLayer(
    Effect.gen(function* () {
      const seen = yield* Seen
      return Api.of({
        get: ({ id }) => (id === 1 ? Effect.succeed("ann") : Effect.fail(new NotFound({ id }))),
        echo: ({ text }) => Effect.succeed(text),
        item: (item) => Effect.succeed(item),
        nothing: () => Effect.void,
        die: () => Effect.die(new Error("boom")),
        stop: () => Effect.interrupt,
        headers: (_, { headers }) => Effect.succeed(headers["x-colour"] ?? "none"),
        whoAmI: () => Effect.map(User, ({ name }) => name),
        trace: () =>
          Effect.map(Effect.currentSpan, (span) => ({
            trace: span.traceId,
            parent: Option.match(span.parent, { onNone: () => "", onSome: ({ spanId }) => spanId })
          })).pipe(Effect.orDie),
        note: ({ text }) => Effect.sync(() => void seen.notes.push(text)),
        forever: ({ name }) => {
          const { acquire, release } = observed(seen, name)
          return Effect.acquireUseRelease(
            acquire,
            () => Effect.as(Effect.never, ""),
            (_, exit) => release(exit)
          )
        },
        count: ({ to }) => Stream.range(1, to),
        chunks: ({ chunks, of }) =>
          Stream.range(1, chunks).pipe(
            Stream.rechunk(1),
            Stream.flatMap((n) => {
              seen.emitted.set("chunks", n)
              return Stream.fromArray(Array.from({ length: of }, (_, i) => n * 1000 + i))
            })
          ),
        breaks: ({ after }) => Stream.concat(Stream.range(1, after), Stream.fail(new NotFound({ id: after }))),
        queue: Effect.fnUntraced(function* ({ to }) {
          const queue = yield* Queue.make<number, Cause.Done>()
          for (let n = 1; n <= to; n++) yield* Queue.offer(queue, n)
          yield* Queue.end(queue)
          return queue
        }),
        ticks: ({ name }) => {
          const { acquire, release } = observed(seen, name)
          let tick = 0
          return Stream.unwrap(
            Effect.as(
              Effect.acquireRelease(acquire, (_, exit) => release(exit)),
              Stream.fromEffectRepeat(
                Effect.suspend(() => {
                  seen.emitted.set(name, ++tick)
                  return Effect.as(Effect.yieldNow, tick)
                })
              )
            )
          )
        }
      })
    })
  ),
  AuthLive
)

export type ApiClient = RpcClient.FromGroup<typeof Api, import("effect/rpc/RpcClientError").RpcClientError>

/** A client of the API, and one more with the same transport. */
export interface Both {
  readonly client: ApiClient
  readonly other: Effect.Effect<ApiClient, never, import("effect").Scope.Scope>
}

/** How a call has ended, in a word. */
export const ended = <A, E>(exit: Exit.Exit<A, E>): string => {
  if (Exit.isSuccess(exit)) return `value ${text(exit.value)}`
  const reason = exit.cause.reasons[0]!
  if (reason._tag === "Fail") return `error ${text(reason.error)}`
  return reason._tag === "Die" ? `defect ${text(reason.defect)}` : "interrupted"
}

const text = (value: unknown): string =>
  value instanceof Error
    ? `${(value as { _tag?: string })._tag ?? value.name}: ${value.message}`
    : JSON.stringify(value, (_, one) => (typeof one === "bigint" ? `${one}n` : one))

const endOf = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<string, never, R> =>
  Effect.map(Effect.exit(self), ended)

/** Calls all of them, and says what came of each. */
export const callAll = ({ client, other }: Both, seen: Seen["Service"], stalls: "alone" | "all" = "alone") =>
  Effect.gen(function* () {
    const results: Record<string, unknown> = {}
    results.value = yield* endOf(client.get({ id: 1 }))
    results.error = yield* endOf(client.get({ id: 7 }))
    results.item = yield* endOf(
      Effect.map(
        client.item({ at: new Date(86_400_000), size: 12345678901234567890n, tags: ["a", "ü", ""] }),
        ({ at, size, tags }) => [at, size, ...tags]
      )
    )
    results.nothing = yield* endOf(client.nothing())
    results.serverInterrupts = yield* endOf(client.stop())
    results.noHeader = yield* endOf(client.headers())
    results.headerOfCall = yield* endOf(client.headers(undefined, { headers: { "x-colour": "red" } }))
    results.headerAround = yield* endOf(RpcClient.withHeaders(client.headers(), { "x-colour": "blue" }))
    results.denied = yield* endOf(client.whoAmI())
    results.allowed = yield* endOf(client.whoAmI(undefined, { headers: { user: "ann" } }))
    results.traced = yield* Effect.gen(function* () {
      const span = yield* Effect.currentSpan
      const { parent, trace } = yield* client.trace()
      return [trace === span.traceId, parent !== "", parent !== span.spanId]
    }).pipe(Effect.withSpan("outer"))
    results.large = yield* Effect.map(client.echo({ text: "x".repeat(1_000_000) }), ({ length }) => length)
    results.many = yield* Effect.map(
      Effect.forEach(
        Array.from({ length: 300 }, (_, i) => `${i}`),
        (text) => client.echo({ text }),
        {
          concurrency: "unbounded"
        }
      ),
      (all) => all.every((one, i) => one === `${i}`)
    )
    results.discarded = yield* endOf(client.note({ text: "noted" }, { discard: true }))
    yield* until(Effect.sync(() => seen.notes.includes("noted")))

    results.stream = yield* endOf(Stream.runCollect(client.count({ to: 100 })))
    results.streamOfChunks = yield* Effect.map(Stream.runCollect(client.chunks({ chunks: 60, of: 3 })), (all) => [
      all.length,
      all[0],
      all.at(-1)
    ])
    results.streamBreaks = yield* endOf(Stream.runCollect(client.breaks({ after: 5 })))
    results.streamOfQueue = yield* endOf(Stream.runCollect(client.queue({ to: 40 })))
    results.streamAsQueue = yield* Effect.gen(function* () {
      const queue = yield* client.count({ to: 30 }, { asQueue: true })
      return yield* Effect.map(Effect.all(Array.from({ length: 30 }, () => Queue.take(queue))), ({ length }) => length)
    }).pipe(Effect.scoped)
    results.streamTaken = yield* endOf(client.ticks({ name: "taken" }).pipe(Stream.take(3), Stream.runCollect))
    yield* until(Effect.sync(() => seen.interrupted.includes("taken")))

    // Interrupted while its handler runs, and the handler with it.
    const call = yield* Effect.forkChild(client.forever({ name: "call" }))
    yield* until(Effect.sync(() => seen.running.has("call")))
    yield* Fiber.interrupt(call)
    yield* until(Effect.sync(() => seen.interrupted.includes("call")))
    results.interrupted = seen.running.size

    // One that nobody reads does not stop the others.
    const pulled = yield* Deferred.make<void>()
    const stalled = yield* Effect.forkChild(
      client
        .chunks({ chunks: 1000, of: 100 })
        .pipe(Stream.runForEach(() => Effect.andThen(Deferred.succeed(pulled, undefined), Effect.never)))
    )
    yield* Deferred.await(pulled)
    // Over Effect's own transport it does.
    if (stalls === "alone") results.besideStalled = yield* endOf(client.get({ id: 1 }))
    yield* Fiber.interrupt(stalled)
    results.afterStalled = yield* endOf(client.get({ id: 1 }))

    results.defect = yield* endOf(client.die())
    results.afterDefect = yield* endOf(client.get({ id: 1 }))

    const second = yield* other
    results.second = yield* endOf(second.get({ id: 1 }))
    return results
  }).pipe(Effect.scoped, Effect.withTracer(Tracer.make({ span: (options) => new Tracer.NativeSpan(options) })))

export const expected = {
  value: 'value "ann"',
  error: "error NotFound: ",
  item: 'value ["1970-01-02T00:00:00.000Z","12345678901234567890n","a","ü",""]',
  nothing: "value undefined",
  serverInterrupts: "interrupted",
  noHeader: 'value "none"',
  headerOfCall: 'value "red"',
  headerAround: 'value "blue"',
  denied: "error Denied: ",
  allowed: 'value "ann"',
  traced: [true, true, true],
  large: 1_000_000,
  many: true,
  discarded: "value undefined",
  stream: `value ${JSON.stringify(Array.from({ length: 100 }, (_, i) => i + 1))}`,
  streamOfChunks: [180, 1000, 60_002],
  streamBreaks: "error NotFound: ",
  streamOfQueue: `value ${JSON.stringify(Array.from({ length: 40 }, (_, i) => i + 1))}`,
  streamAsQueue: 30,
  streamTaken: "value [1,2,3]",
  interrupted: 0,
  besideStalled: 'value "ann"',
  afterStalled: 'value "ann"',
  defect: "defect Error: boom",
  afterDefect: 'value "ann"',
  second: 'value "ann"'
}

export type ServerProtocol = RpcServer.Protocol["Service"]
