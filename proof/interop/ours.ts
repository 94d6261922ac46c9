/** An end of ours, on either engine. */
import { Data, Effect, Layer, Logger, Redacted, type Scope } from "effect"
import { Curve, Engine, Plain, Zap, Zmq } from "effect-zmq"
import { type Course, credentials, isGate, keys, names, pause, probe, type Spec, until } from "./end.ts"
import { messagesOf, wrongWith } from "./messages.ts"

export class Wrong extends Data.TaggedError("Wrong")<{ readonly message: string }> {}

const security = async ({ binds, mechanism }: Spec): Promise<object> => {
  if (mechanism === "NULL") return {}
  if (mechanism === "PLAIN")
    return {
      security: binds
        ? Plain.server({ domain: "interop" })
        : Plain.client({ username: credentials.username, password: Redacted.make(credentials.password) })
    }
  const key = (text: string) => Effect.runPromise(Curve.secretKeyFrom(text))
  const publicKey = (text: string) => Effect.runPromise(Curve.publicKeyFrom(text))
  return {
    security: binds
      ? Curve.server({ secretKey: await key(keys.serverSecret), domain: "interop" })
      : Curve.client({
          publicKey: await publicKey(keys.clientPublic),
          secretKey: await key(keys.clientSecret),
          serverKey: await publicKey(keys.serverPublic)
        })
  }
}

type Any = Zmq.Socket & Zmq.Receives<unknown> & Zmq.Sends<{ readonly _tag: string }> & Zmq.Requester

const isPublisher = ({ type }: Spec): boolean => type === "pub" || type === "xpub"

const open = (spec: Spec): Effect.Effect<Any, unknown, Scope.Scope> =>
  Effect.flatMap(
    Effect.promise(() => security(spec)),
    (secured) => {
      const options = {
        ...secured,
        ...(spec.binds ? { bind: spec.endpoint } : { connect: spec.endpoint }),
        linger: 0,
        ...(isPublisher(spec) || spec.type === "push" ? {} : { receiveHighWaterMark: spec.mark }),
        ...(["sub", "pull"].includes(spec.type) ? {} : { sendHighWaterMark: spec.mark }),
        ...(isPublisher(spec) ? { noDrop: true } : {}),
        ...(["sub", "xsub"].includes(spec.type) ? { subscribe: [""] } : {}),
        ...(["dealer", "router"].includes(spec.type) ? { routingId: names[spec.role] } : {})
      }
      return (Zmq[spec.type] as unknown as (options: object) => Effect.Effect<Any, unknown, Scope.Scope>)(options)
    }
  )

const bytes = (message: ReadonlyArray<string | Uint8Array>): Array<Buffer> =>
  message.map((frame) => Buffer.from(frame as string))

const check = (found: ReadonlyArray<Buffer>, expected: ReadonlyArray<Buffer>, what: string) => {
  const wrong = wrongWith(found, expected)
  return wrong === undefined ? Effect.void : Effect.fail(new Wrong({ message: `${what}: ${wrong}` }))
}

const sends = (socket: Any, spec: Spec, course: Course) =>
  Effect.gen(function* () {
    const messages = messagesOf(spec.plan)
    // Heard at last, a publisher has filled a queue or two with this.
    if (isPublisher(spec)) while (!course.isFound) yield* Effect.andThen(socket.trySend(probe), pause)
    const head = spec.type === "router" ? [names.receives] : spec.flows || spec.type === "req" ? [] : [""]
    for (const [i, message] of messages.entries()) {
      if (spec.type === "req") {
        yield* check(yield* socket.request(message as unknown as Zmq.Outgoing), message, `reply ${i}`)
        continue
      }
      const outgoing = [...head, ...message] as unknown as Zmq.Outgoing
      // A ROUTER does not know it yet.
      const attempt = Effect.retry(socket.trySend(outgoing), {
        while: (error: { readonly _tag: string }) =>
          Effect.as(pause, i === 0 && error._tag === "Unroutable") as Effect.Effect<boolean>
      })
      if (!(yield* attempt)) {
        course.stuck(true)
        yield* socket.send(outgoing)
        course.stuck(false)
      }
      if (!spec.flows) yield* check(yield* socket.recv, bytes(["", ...message]), `reply ${i}`)
    }
    course.isSent = true
    if (!spec.flows) course.isReceived = true
    yield* until(() => course.isReceived)
  })

const receives = (socket: Any, spec: Spec, course: Course) =>
  Effect.gen(function* () {
    const messages = messagesOf(spec.plan)
    const isRouter = spec.type === "router"
    const publishes = spec.peer === "pub" || spec.peer === "xpub"
    const next: Effect.Effect<Zmq.Message, unknown> = Effect.flatMap(
      socket.recv,
      (message): Effect.Effect<Zmq.Message, unknown> => {
        if (!publishes || message.length !== 1 || message[0].toString() !== probe) return Effect.succeed(message)
        course.isFound = true
        return next
      }
    )
    if (publishes) {
      yield* socket.recv
      course.isFound = true
    }
    for (const [i, expected] of messages.entries()) {
      if (spec.flows && isGate(i, spec.plan)) yield* until(() => course.mayRead)
      const message = yield* next
      if (!spec.flows) yield* socket.send(message as unknown as Zmq.Outgoing)
      const body = !isRouter
        ? message
        : message.slice(spec.flows ? 1 : message.findIndex(({ length }) => length === 0) + 1)
      if (isRouter && spec.peer !== "req") yield* check(message.slice(0, 1), bytes([names.sends]), `name ${i}`)
      yield* check(body, expected, `message ${i}`)
    }
    if (spec.flows) course.isReceived = true
    else yield* until(() => course.isReceived)
  })

/** Opens an end, and gives where it is, and how it ends. */
export const ours = (
  engine: "zmtp" | "zeromq",
  spec: Spec,
  course: Course
): Effect.Effect<{ readonly endpoint: string; readonly run: Effect.Effect<void, unknown> }, unknown, Scope.Scope> => {
  const users = { [credentials.username]: Redacted.make(credentials.password) }
  const layer = Zap.layer({ plain: users, curve: Zap.anybody }).pipe(
    Layer.provideMerge(Layer.merge(Zmq.Context.layer(), Logger.layer([]))),
    Layer.provideMerge(engine === "zmtp" ? Engine.layerZmtp : Engine.layerZeromq)
  )
  return Effect.gen(function* () {
    const context = yield* Layer.build(layer)
    return yield* Effect.gen(function* () {
      const socket = yield* open(spec)
      const run = spec.role === "sends" ? sends(socket, spec, course) : receives(socket, spec, course)
      return { endpoint: socket.endpoints[0]!, run: Effect.provide(run, context) }
    }).pipe(Effect.provide(context))
  })
}
