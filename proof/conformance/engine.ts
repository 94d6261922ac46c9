/** The subjects on the sockets of this library, on `Engine.layerZmtp`. */
import { Effect, Exit, Layer, Logger, Redacted, Scope } from "effect"
import { Curve, Engine, Plain, Zap, Zmq } from "effect-zmq"
import {
  type Answer,
  credentials,
  type Driven,
  type Driver,
  keys,
  kinds,
  type Library,
  mark,
  type Spec
} from "./subject.ts"

const domain = "conformance"

const security = ({ endpoint, mechanism, refuses }: Spec): Effect.Effect<object, unknown> => {
  if (mechanism === "NULL") return Effect.succeed(refuses === true ? { zapDomain: domain, zapEnforceDomain: true } : {})
  if (mechanism === "PLAIN")
    return Effect.succeed({
      security:
        endpoint === undefined
          ? Plain.server({ domain })
          : Plain.client({ username: credentials.username, password: Redacted.make(credentials.password) })
    })
  return Effect.gen(function* () {
    if (endpoint === undefined)
      return { security: Curve.server({ secretKey: yield* Curve.secretKeyFrom(keys.serverSecret), domain }) }
    const publicKey = yield* Curve.publicKeyFrom(keys.clientPublic)
    const secretKey = yield* Curve.secretKeyFrom(keys.clientSecret)
    const serverKey = yield* Curve.publicKeyFrom(keys.serverPublic)
    return { security: Curve.client({ publicKey, secretKey, serverKey }) }
  })
}

const octets = (frames: ReadonlyArray<string>): Zmq.Outgoing =>
  frames.map((frame) => Buffer.from(frame, "latin1")) as unknown as Zmq.Outgoing
const texts = (message: Zmq.Message): Array<string> => message.map((frame) => frame.toString("latin1"))

type Any = Zmq.Socket & Zmq.Receives<unknown> & Zmq.Sends<unknown>

const driverOf = (socket: Any, type: Driven): Driver => {
  // Where it gives what has its own name in the API.
  const subscribes = type === "xsub"
  const send = (...frames: ReadonlyArray<string>): Promise<Answer> => {
    const first = frames[0] ?? ""
    if (subscribes && frames.length === 1 && (first[0] === "\x01" || first[0] === "\0")) {
      const { subscribe, unsubscribe } = socket as unknown as Zmq.XSub
      const topic = Buffer.from(first.slice(1), "latin1")
      const run =
        first[0] === "\x01" ? Effect.provideService(subscribe(topic), Scope.Scope, forEver) : unsubscribe(topic)
      return Effect.runPromise(Effect.as(run, "sent" as const))
    }
    return Effect.runPromise(
      Effect.match(socket.trySend(octets(frames)), {
        onFailure: () => "wrong" as const,
        onSuccess: (sent) => (sent ? "sent" : "full")
      })
    )
  }
  return {
    send,
    receive: async () =>
      !("recv" in socket)
        ? "wrong"
        : Effect.runPromise(Effect.match(socket.recv, { onFailure: () => "wrong" as const, onSuccess: texts }))
  }
}

const forEver = Effect.runSync(Scope.make())

const optionsOf = (type: Driven): object => ({
  ...(["sub", "pull"].includes(type) ? {} : { sendHighWaterMark: mark }),
  ...(["push", "pub"].includes(type) ? {} : { receiveHighWaterMark: mark }),
  ...(type === "req" ? { relaxed: false, correlate: false } : {}),
  ...(type === "router" ? { mandatory: false } : {}),
  ...(type === "sub" ? { subscribe: "" } : {}),
  ...(type === "xsub" ? { subscribe: [] } : {})
})

const forever = (run: Effect.Effect<unknown, unknown>): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.forkScoped(Effect.ignore(Effect.forever(run))))

const make = (spec: Spec): Effect.Effect<{ endpoint: string; driver?: Driver }, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const place = spec.endpoint === undefined ? { bind: "tcp://127.0.0.1:*" } : { connect: spec.endpoint }
    const options = { ...place, ...(yield* security(spec)), linger: 0, reconnectInterval: 20 }
    const { kind } = spec
    switch (kind) {
      case "echo": {
        const router = yield* Zmq.router(options)
        yield* forever(Effect.flatMap(router.recv, ([id, ...frames]) => router.send([id, id, ...frames])))
        return { endpoint: router.endpoints[0]! }
      }
      case "xpub": {
        const xpub = yield* Zmq.xpub(options)
        yield* forever(
          Effect.flatMap(xpub.recv, (message) =>
            message[0][0] !== undefined && message[0][0] > 1 ? xpub.send(message) : Effect.void
          )
        )
        return { endpoint: xpub.endpoints[0]! }
      }
      case "rep": {
        const rep = yield* Zmq.rep(options)
        yield* forever(Effect.flatMap(rep.recv, (message) => rep.send(message)))
        return { endpoint: rep.endpoints[0]! }
      }
      case "dealer": {
        const dealer = yield* Zmq.dealer({ ...options, routingId: "me" })
        yield* dealer.send("hello")
        yield* forever(Effect.flatMap(dealer.recv, (message) => dealer.send(message)))
        return { endpoint: spec.endpoint! }
      }
      case "sub": {
        const sub = yield* Zmq.sub({ ...options, subscribe: "A" })
        yield* Effect.forkScoped(Effect.ignore(Effect.andThen(sub.recv, sub.unsubscribe("A"))))
        return { endpoint: spec.endpoint! }
      }
      case "req": {
        const req = yield* Zmq.req({ ...options, correlate: false, relaxed: false })
        let next: Zmq.Outgoing = "hello"
        yield* forever(
          Effect.suspend(() =>
            Effect.andThen(
              req.send(next),
              Effect.map(req.recv, (reply) => {
                next = reply
              })
            )
          )
        )
        return { endpoint: spec.endpoint! }
      }
      default: {
        const type = kind.slice(7) as Driven
        const open = Zmq[type] as unknown as (options: object) => Effect.Effect<Any, unknown, Scope.Scope>
        const socket = yield* open({ ...options, ...optionsOf(type) })
        return { endpoint: socket.endpoints[0]!, driver: driverOf(socket, type) }
      }
    }
  })

export const engine: Library = {
  kinds,
  start: async (spec) => {
    const users = { [credentials.username]: Redacted.make(credentials.password) }
    const zap =
      spec.refuses === true ? Zap.layer({ deny: ["0.0.0.0/0"] }) : Zap.layer({ plain: users, curve: Zap.anybody })
    const layer = zap.pipe(
      Layer.provideMerge(Layer.merge(Zmq.Context.layer(), Logger.layer([]))),
      Layer.provideMerge(Engine.layerZmtp)
    )
    const scope = await Effect.runPromise(Scope.make())
    const running = await Effect.runPromise(
      Effect.provideService(
        Effect.flatMap(Layer.build(layer), (context) => Effect.provide(make(spec), context)),
        Scope.Scope,
        scope
      )
    )
    return { ...running, stop: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
  }
}
