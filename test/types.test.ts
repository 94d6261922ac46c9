/**
 * The types of the public interface. What is stated here is checked by `tsc`,
 * in `npm run check`; what can be seen at run time is checked by vitest as well.
 */
import {
  type Cause,
  Effect,
  type Layer,
  type Option,
  type Redacted,
  Schedule,
  Schema,
  type Scope,
  type Sink,
  type Stream
} from "effect"
import { Curve, Null, Plain, Zmq } from "effect-zmq"
import { describe, expect, expectTypeOf, it } from "vitest"

type SocketOperation =
  | "type"
  | "endpoints"
  | "bind"
  | "connect"
  | "unbind"
  | "disconnect"
  | "events"
  | "status"
  | "statusChanges"
  | "awaitConnected"
  | "awaitPeers"
  | "stats"
type ReceivesOperation =
  | "recvWithPeer"
  | "recv"
  | "recvString"
  | "recvStrings"
  | "recvJson"
  | "recvSchema"
  | "recvAs"
  | "tryRecv"
type ReceiverOperation =
  | ReceivesOperation
  | "drain"
  | "messages"
  | "strings"
  | "stream"
  | "streamAs"
  | "runForEach"
  | "runForEachAs"
  | "batches"
  | "runForEachBatch"
type SendsOperation = "send" | "sendJson" | "sendSchema" | "sendAs" | "trySend"
type SenderOperation = SendsOperation | "sendAll" | "sink"
type SubscriberOperation = "subscribe" | "unsubscribe"

const socketOperations = [
  "type",
  "endpoints",
  "bind",
  "connect",
  "unbind",
  "disconnect",
  "events",
  "status",
  "statusChanges",
  "awaitConnected",
  "awaitPeers",
  "stats"
]
const receivesOperations = [
  "recv",
  "recvWithPeer",
  "recvString",
  "recvStrings",
  "recvJson",
  "recvSchema",
  "recvAs",
  "tryRecv"
]
const receiverOperations = [
  ...receivesOperations,
  "drain",
  "messages",
  "strings",
  "stream",
  "streamAs",
  "runForEach",
  "runForEachAs",
  "batches",
  "runForEachBatch"
]
const sendsOperations = ["send", "sendJson", "sendSchema", "sendAs", "trySend"]
const senderOperations = [...sendsOperations, "sendAll", "sink"]

describe("each socket type has exactly its operations", () => {
  it("in its type", () => {
    expectTypeOf<keyof Zmq.Pull>().toEqualTypeOf<SocketOperation | ReceiverOperation>()
    expectTypeOf<keyof Zmq.Push>().toEqualTypeOf<SocketOperation | SenderOperation>()
    expectTypeOf<keyof Zmq.Pub>().toEqualTypeOf<SocketOperation | SenderOperation | "awaitSubscribers">()
    expectTypeOf<keyof Zmq.Sub>().toEqualTypeOf<SocketOperation | ReceiverOperation | SubscriberOperation>()
    expectTypeOf<keyof Zmq.Req>().toEqualTypeOf<
      SocketOperation | ReceivesOperation | SendsOperation | "request" | "requestAs"
    >()
    expectTypeOf<keyof Zmq.Rep>().toEqualTypeOf<
      SocketOperation | ReceivesOperation | SendsOperation | "serve" | "serveAs"
    >()
    expectTypeOf<keyof Zmq.Dealer>().toEqualTypeOf<
      SocketOperation | ReceiverOperation | SenderOperation | "request" | "requestAs"
    >()
    expectTypeOf<keyof Zmq.Router>().toEqualTypeOf<
      SocketOperation | ReceiverOperation | SenderOperation | "serve" | "serveAs"
    >()
    expectTypeOf<keyof Zmq.Pair>().toEqualTypeOf<SocketOperation | ReceiverOperation | SenderOperation>()
    expectTypeOf<keyof Zmq.XPub>().toEqualTypeOf<
      SocketOperation | ReceiverOperation | SenderOperation | "awaitSubscribers"
    >()
    expectTypeOf<keyof Zmq.XSub>().toEqualTypeOf<
      SocketOperation | ReceiverOperation | SenderOperation | SubscriberOperation
    >()
    expectTypeOf<keyof Zmq.RawStream>().toEqualTypeOf<SocketOperation | ReceiverOperation | SenderOperation>()
  })

  const all: ReadonlyArray<readonly [Effect.Effect<object, unknown, Scope.Scope>, ReadonlyArray<string>]> = [
    [Zmq.pull(), receiverOperations],
    [Zmq.push(), senderOperations],
    [Zmq.pub(), [...senderOperations, "awaitSubscribers"]],
    [Zmq.sub({ subscribe: "" }), [...receiverOperations, "subscribe", "unsubscribe"]],
    [Zmq.req(), [...receivesOperations, ...sendsOperations, "request", "requestAs"]],
    [Zmq.rep(), [...receivesOperations, ...sendsOperations, "serve", "serveAs"]],
    [Zmq.dealer(), [...receiverOperations, ...senderOperations, "request", "requestAs"]],
    [Zmq.router(), [...receiverOperations, ...senderOperations, "serve", "serveAs"]],
    [Zmq.pair(), [...receiverOperations, ...senderOperations]],
    [Zmq.xpub(), [...receiverOperations, ...senderOperations, "awaitSubscribers"]],
    [Zmq.xsub(), [...receiverOperations, ...senderOperations, "subscribe", "unsubscribe"]],
    [Zmq.rawStream(), [...receiverOperations, ...senderOperations]]
  ]
  it("and at run time", () =>
    Effect.gen(function* () {
      const types = new Set<string>()
      for (const [open, operations] of all) {
        const socket = yield* open
        expect(Object.keys(socket).sort()).toEqual([...socketOperations, ...operations].sort())
        types.add((socket as { type: string }).type)
      }
      expect(types.size).toBe(12)
    }).pipe(Effect.scoped, Effect.runPromise))

  it("and what makes no sense does not compile", () => {
    const nonsense = (pub: Zmq.Pub, pull: Zmq.Pull, req: Zmq.Req) => [
      // @ts-expect-error a PUB does not receive
      pub.recv,
      // @ts-expect-error a PUB has no messages
      pub.messages,
      // @ts-expect-error a PULL does not send
      pull.send,
      // @ts-expect-error a PULL does not subscribe
      pull.subscribe,
      // @ts-expect-error a REQ receives in turn, and not as a stream
      req.messages,
      // @ts-expect-error a REQ does not serve
      req.serve
    ]
    const openWrong = () => [
      // @ts-expect-error a SUB without a subscription receives nothing
      Zmq.sub(),
      // @ts-expect-error a SUB without a subscription receives nothing
      Zmq.sub({ connect: "tcp://127.0.0.1:5555" }),
      // @ts-expect-error a PULL has no send options
      Zmq.pull({ sendTimeout: 1 }),
      // @ts-expect-error an option that no socket has
      Zmq.push({ recieveTimeout: 1 }),
      // @ts-expect-error a secret is Redacted
      Zmq.push({ plainPassword: "secret" })
    ]
    const sendWrong = (push: Zmq.Push) => [
      // @ts-expect-error a number is no message
      push.send(1),
      // @ts-expect-error a message has at least one frame
      push.send([])
    ]
    const provideWrong = Zmq.send("to whom?").pipe(
      Effect.provide(Zmq.layer(Zmq.pull({ connect: "tcp://127.0.0.1:5555" })))
    )
    const sendUnrouted = Zmq.send("to whom?").pipe(Effect.provide(Zmq.layer(Zmq.router())))
    // Nor does a ROUTER, which may know no such peer.
    expectTypeOf<Effect.Services<typeof sendUnrouted>>().toEqualTypeOf<Zmq.Sender>()
    // The PULL does not stand in for a sender.
    expectTypeOf<Effect.Services<typeof provideWrong>>().toEqualTypeOf<Zmq.Sender>()
    expect([nonsense, openWrong, sendWrong]).toHaveLength(3)
  })
})

const Job = Schema.Struct({ id: Schema.Number, at: Schema.Date })
type Job = typeof Job.Type

describe("the error channel lists what an operation can fail with", () => {
  it("receiving", () => {
    expectTypeOf<Zmq.Pull["recv"]>().toEqualTypeOf<Effect.Effect<Zmq.Message, Zmq.Again | Zmq.Closed>>()
    expectTypeOf<Zmq.Pull["recvString"]>().toEqualTypeOf<
      Effect.Effect<string, Zmq.Again | Zmq.Closed | Zmq.DecodeError>
    >()
    expectTypeOf<Zmq.Pull["recvStrings"]>().toEqualTypeOf<
      Effect.Effect<[string, ...Array<string>], Zmq.Again | Zmq.Closed | Zmq.DecodeError>
    >()
    expectTypeOf<Zmq.Pull["recvJson"]>().toEqualTypeOf<
      Effect.Effect<unknown, Zmq.Again | Zmq.Closed | Zmq.DecodeError>
    >()
    expectTypeOf<Zmq.Pull["tryRecv"]>().toEqualTypeOf<Effect.Effect<Option.Option<Zmq.Message>, Zmq.Closed>>()
    expectTypeOf<Zmq.Pull["drain"]>().toEqualTypeOf<Effect.Effect<Array<Zmq.Message>, Zmq.Closed>>()
    expectTypeOf<Zmq.Req["recv"]>().toEqualTypeOf<
      Effect.Effect<Zmq.Message, Zmq.Again | Zmq.Closed | Zmq.InvalidState>
    >()
    const job = (pull: Zmq.Pull) => pull.recvSchema(Job)
    expectTypeOf<ReturnType<typeof job>>().toEqualTypeOf<Effect.Effect<Job, Zmq.Again | Zmq.Closed | Zmq.DecodeError>>()
  })

  it("streams", () => {
    expectTypeOf<Zmq.Pull["messages"]>().toEqualTypeOf<Stream.Stream<Zmq.Message, Zmq.Again | Zmq.Closed>>()
    expectTypeOf<Zmq.Pull["strings"]>().toEqualTypeOf<Stream.Stream<string, Zmq.Again | Zmq.Closed | Zmq.DecodeError>>()
    const jobs = (pull: Zmq.Pull) => pull.stream(Job)
    expectTypeOf<ReturnType<typeof jobs>>().toEqualTypeOf<
      Stream.Stream<Job, Zmq.Again | Zmq.Closed | Zmq.DecodeError>
    >()
    const handled = (pull: Zmq.Pull) => pull.runForEach(() => Effect.fail("no" as const))
    expectTypeOf<ReturnType<typeof handled>>().toEqualTypeOf<Effect.Effect<never, Zmq.Again | Zmq.Closed | "no">>()
    const stopped = (pull: Zmq.Pull, until: Effect.Effect<number, "late", Zmq.Sender>) =>
      pull.runForEach(() => Effect.fail("no" as const), { until, concurrency: 2 })
    expectTypeOf<ReturnType<typeof stopped>>().toEqualTypeOf<
      Effect.Effect<void, Zmq.Again | Zmq.Closed | "no" | "late", Zmq.Sender>
    >()
    const settled = (pull: Zmq.Pull, dead: Zmq.Push) =>
      pull.runForEach(() => Effect.fail("no" as const), {
        retry: Schedule.recurs(1),
        orElse: (message, cause) => {
          expectTypeOf(message).toEqualTypeOf<Zmq.Message>()
          expectTypeOf(cause).toEqualTypeOf<Cause.Cause<"no">>()
          return dead.send(message)
        }
      })
    expectTypeOf<ReturnType<typeof settled>>().toEqualTypeOf<
      Effect.Effect<never, Zmq.Again | Zmq.Closed | Zmq.EncodeError>
    >()
    const retried = (pull: Zmq.Pull) => pull.runForEach(() => Effect.fail("no" as const), { retry: Schedule.recurs(1) })
    expectTypeOf<ReturnType<typeof retried>>().toEqualTypeOf<Effect.Effect<never, Zmq.Again | Zmq.Closed | "no">>()
    const here = Zmq.runForEach(() => Effect.void, { concurrency: 2 })
    expectTypeOf(here).toEqualTypeOf<Effect.Effect<never, Zmq.Again | Zmq.Closed, Zmq.Receiver>>()
    const hereUntil = Zmq.runForEach(() => Effect.void, { until: Effect.void })
    expectTypeOf(hereUntil).toEqualTypeOf<Effect.Effect<void, Zmq.Again | Zmq.Closed, Zmq.Receiver>>()
  })

  it("sending", () => {
    type Failure<S extends { send: (message: Zmq.Outgoing) => Effect.Effect<void, unknown> }> = Effect.Error<
      ReturnType<S["send"]>
    >
    expectTypeOf<Failure<Zmq.Push>>().toEqualTypeOf<Zmq.Again | Zmq.Closed | Zmq.EncodeError>()
    expectTypeOf<Failure<Zmq.Pub>>().toEqualTypeOf<Zmq.Again | Zmq.Closed | Zmq.EncodeError>()
    expectTypeOf<Failure<Zmq.Router>>().toEqualTypeOf<Zmq.Again | Zmq.Closed | Zmq.EncodeError | Zmq.Unroutable>()
    expectTypeOf<Failure<Zmq.Req>>().toEqualTypeOf<Zmq.Again | Zmq.Closed | Zmq.EncodeError | Zmq.InvalidState>()
    expectTypeOf<ReturnType<Zmq.Push["trySend"]>>().toEqualTypeOf<
      Effect.Effect<boolean, Zmq.Closed | Zmq.EncodeError>
    >()
    expectTypeOf<Zmq.Push["sink"]>().toEqualTypeOf<
      Sink.Sink<void, Zmq.Outgoing, never, Zmq.Again | Zmq.Closed | Zmq.EncodeError>
    >()
    const sendJob = (push: Zmq.Push) => push.sendSchema(Job)
    expectTypeOf<ReturnType<typeof sendJob>>().toEqualTypeOf<
      (value: Job) => Effect.Effect<void, Zmq.Again | Zmq.Closed | Zmq.EncodeError>
    >()
  })

  it("request and reply", () => {
    expectTypeOf<ReturnType<Zmq.Req["request"]>>().toEqualTypeOf<
      Effect.Effect<Zmq.Message, Zmq.Again | Zmq.Closed | Zmq.EncodeError | Zmq.InvalidState>
    >()
    const served = (rep: Zmq.Rep) => rep.serve(() => Effect.fail("no" as const))
    expectTypeOf<ReturnType<typeof served>>().toEqualTypeOf<
      Effect.Effect<never, Zmq.Again | Zmq.Closed | Zmq.EncodeError | Zmq.InvalidState | "no">
    >()
    const gaveUp = Zmq.serve(() => Effect.fail("no" as const), {
      orElse: (_, cause) => {
        expectTypeOf(cause).toEqualTypeOf<Cause.Cause<"no" | Zmq.EncodeError>>()
        return Effect.logWarning(cause)
      },
      until: Effect.void
    })
    expectTypeOf(gaveUp).toEqualTypeOf<
      Effect.Effect<void, Zmq.Again | Zmq.Closed | Zmq.EncodeError | Zmq.InvalidState, Zmq.Responder>
    >()
    const stopped = Zmq.serve(() => Effect.succeed("yes"), { until: Effect.void })
    expectTypeOf(stopped).toEqualTypeOf<
      Effect.Effect<void, Zmq.Again | Zmq.Closed | Zmq.EncodeError | Zmq.InvalidState, Zmq.Responder>
    >()
  })

  it("opening, binding, connecting", () => {
    const open = () => Zmq.pull()
    expectTypeOf<ReturnType<typeof open>>().toEqualTypeOf<Effect.Effect<Zmq.Pull, Zmq.SocketError, Scope.Scope>>()
    expectTypeOf<Zmq.SocketError>().toEqualTypeOf<Zmq.OptionError | Zmq.BindError | Zmq.ConnectError | Zmq.OpenError>()
    expectTypeOf<ReturnType<Zmq.Pull["bind"]>>().toEqualTypeOf<
      Effect.Effect<string, Zmq.BindError | Zmq.Closed, Scope.Scope>
    >()
    expectTypeOf<ReturnType<Zmq.Pull["connect"]>>().toEqualTypeOf<
      Effect.Effect<void, Zmq.ConnectError | Zmq.Closed, Scope.Scope>
    >()
    expectTypeOf<ReturnType<Zmq.Sub["subscribe"]>>().toEqualTypeOf<Effect.Effect<void, Zmq.Closed, Scope.Scope>>()
    expectTypeOf<ReturnType<Zmq.Sub["unsubscribe"]>>().toEqualTypeOf<Effect.Effect<void, Zmq.Closed>>()
  })
})

describe("half of a security mechanism does not compile", () => {
  it("on either side", () => {
    const text = "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"
    const wrong = (
      keys: Curve.KeyPair,
      serverKey: Curve.PublicKey,
      certificate: Curve.Certificate,
      password: Redacted.Redacted
    ) => [
      // @ts-expect-error a server needs its secret key
      Curve.server({}),
      // @ts-expect-error a public key does not make a server
      Curve.server({ publicKey: keys.publicKey }),
      // @ts-expect-error a secret key is no text
      Curve.server({ secretKey: text }),
      // @ts-expect-error a secret key was checked to be one
      Curve.server({ secretKey: password }),
      // @ts-expect-error a public key is no secret key
      Curve.server({ secretKey: keys.publicKey }),
      // @ts-expect-error the key of another server belongs to clients
      Curve.server({ keys, serverKey }),
      // @ts-expect-error keys are given once
      Curve.server({ keys, secretKey: keys.secretKey }),
      // @ts-expect-error a client needs the key of its server
      Curve.client({ keys }),
      // @ts-expect-error a client needs its public key
      Curve.client({ serverKey, secretKey: keys.secretKey }),
      // @ts-expect-error a client needs its secret key
      Curve.client({ serverKey, publicKey: keys.publicKey }),
      // @ts-expect-error a client needs keys
      Curve.client({ serverKey }),
      // @ts-expect-error a certificate may have no secret key
      Curve.client({ serverKey, keys: certificate }),
      // @ts-expect-error a public key was checked to be one
      Curve.client({ serverKey: text, keys }),
      // @ts-expect-error a domain belongs to servers
      Curve.client({ serverKey, keys, domain: "jobs" }),
      // @ts-expect-error a PLAIN server without a domain has nobody to ask
      Plain.server({}),
      // @ts-expect-error a password needs a name
      Plain.client({ password }),
      // @ts-expect-error a name needs a password
      Plain.client({ username: "admin" }),
      // @ts-expect-error a password is Redacted
      Plain.client({ username: "admin", password: "secret" }),
      // @ts-expect-error without a domain the NULL mechanism asks nobody
      Null.server({}),
      // @ts-expect-error keys are no security
      Zmq.pull({ security: keys }),
      // @ts-expect-error plain TCP has no security
      Zmq.rawStream({ security: Null.server({ domain: "jobs" }) })
    ]
    const right = (keys: Curve.KeyPair, certificate: Curve.SecretCertificate, serverKey: Curve.PublicKey) => [
      Zmq.pull({ security: Curve.server({ keys }) }),
      Zmq.pull({ security: Curve.server({ keys: certificate, domain: "jobs" }) }),
      Zmq.pull({ security: Curve.server({ secretKey: keys.secretKey }) }),
      Zmq.push({ security: Curve.client({ serverKey, keys: certificate }) }),
      Zmq.push({ security: Curve.client({ serverKey, ...keys }) }),
      Zmq.push({ curvePublicKey: keys.publicKey, curveSecretKey: keys.secretKey, curveServerKey: serverKey })
    ]
    expect([wrong, right]).toHaveLength(2)
  })

  it("and what reads keys says how it fails", () => {
    expectTypeOf(Curve.generate).toEqualTypeOf<Effect.Effect<Curve.KeyPair>>()
    expectTypeOf(Curve.publicKey).returns.toEqualTypeOf<Curve.PublicKey>()
    expectTypeOf(Curve.publicKeyFrom).returns.toEqualTypeOf<Effect.Effect<Curve.PublicKey, Curve.KeyError>>()
    expectTypeOf(Curve.secretKeyFrom).returns.toEqualTypeOf<Effect.Effect<Curve.SecretKey, Curve.KeyError>>()
    expectTypeOf<typeof Curve.PublicKey.Type>().toEqualTypeOf<Curve.PublicKey>()
    expectTypeOf<typeof Curve.PublicKey.Encoded>().toEqualTypeOf<string>()
    expectTypeOf<typeof Curve.SecretKey.Type>().toEqualTypeOf<Curve.SecretKey>()
    expectTypeOf<typeof Curve.SecretKey.Encoded>().toEqualTypeOf<string>()
  })
})

describe("accessors need what they use, and no more", () => {
  it("receiving", () => {
    expectTypeOf(Zmq.recv).toEqualTypeOf<Effect.Effect<Zmq.Message, Zmq.Again | Zmq.Closed, Zmq.Receiver>>()
    expectTypeOf(Zmq.recvString).toEqualTypeOf<
      Effect.Effect<string, Zmq.Again | Zmq.Closed | Zmq.DecodeError, Zmq.Receiver>
    >()
    expectTypeOf(Zmq.tryRecv).toEqualTypeOf<Effect.Effect<Option.Option<Zmq.Message>, Zmq.Closed, Zmq.Receiver>>()
    expectTypeOf(Zmq.strings).toEqualTypeOf<
      Stream.Stream<string, Zmq.Again | Zmq.Closed | Zmq.DecodeError, Zmq.Receiver>
    >()
  })

  it("the others", () => {
    expectTypeOf(Zmq.send).returns.toEqualTypeOf<
      Effect.Effect<void, Zmq.Again | Zmq.Closed | Zmq.EncodeError, Zmq.Sender>
    >()
    expectTypeOf(Zmq.request).returns.toEqualTypeOf<
      Effect.Effect<Zmq.Message, Zmq.Again | Zmq.Closed | Zmq.EncodeError | Zmq.InvalidState, Zmq.Requester>
    >()
    expectTypeOf(Zmq.subscribe).returns.toEqualTypeOf<Effect.Effect<void, Zmq.Closed, Zmq.Subscriber | Scope.Scope>>()
    expectTypeOf(Zmq.endpoints).toEqualTypeOf<Effect.Effect<ReadonlyArray<string>, never, Zmq.Socket>>()
  })

  it("a send of a PUSH cannot fail as that of a ROUTER can", () => {
    const sent = () => Effect.provide(Zmq.send("a"), Zmq.layer(Zmq.push()))
    expectTypeOf<ReturnType<typeof sent>>().toEqualTypeOf<
      Effect.Effect<void, Zmq.Again | Zmq.Closed | Zmq.EncodeError | Zmq.SocketError>
    >()
    const toPeer = Zmq.PeerSender.use((peers) => peers.send(["a", "b"]))
    const routed = () => Effect.provide(toPeer, Zmq.layer(Zmq.router()))
    expectTypeOf<ReturnType<typeof routed>>().toEqualTypeOf<
      Effect.Effect<void, Zmq.Again | Zmq.Closed | Zmq.EncodeError | Zmq.Unroutable | Zmq.SocketError>
    >()
  })

  it("a layer provides what its socket can do, and asks for no scope", () => {
    const pull = () => Zmq.layer(Zmq.pull())
    expectTypeOf<ReturnType<typeof pull>>().toEqualTypeOf<Layer.Layer<Zmq.Socket | Zmq.Receiver, Zmq.SocketError>>()
    const push = () => Zmq.layer(Zmq.push())
    expectTypeOf<ReturnType<typeof push>>().toEqualTypeOf<Layer.Layer<Zmq.Socket | Zmq.Sender, Zmq.SocketError>>()
    const sub = () => Zmq.layer(Zmq.sub({ subscribe: "" }))
    expectTypeOf<ReturnType<typeof sub>>().toEqualTypeOf<
      Layer.Layer<Zmq.Socket | Zmq.Receiver | Zmq.Subscriber, Zmq.SocketError>
    >()
    const dealer = () => Zmq.layer(Zmq.dealer())
    expectTypeOf<ReturnType<typeof dealer>>().toEqualTypeOf<
      Layer.Layer<Zmq.Socket | Zmq.Receiver | Zmq.Sender | Zmq.Requester, Zmq.SocketError>
    >()
    const router = () => Zmq.layer(Zmq.router())
    expectTypeOf<ReturnType<typeof router>>().toEqualTypeOf<
      Layer.Layer<Zmq.Socket | Zmq.Receiver | Zmq.PeerSender | Zmq.Responder, Zmq.SocketError>
    >()
    const req = () => Zmq.layer(Zmq.req())
    expectTypeOf<ReturnType<typeof req>>().toEqualTypeOf<Layer.Layer<Zmq.Socket | Zmq.Requester, Zmq.SocketError>>()
  })
})
