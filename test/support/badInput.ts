/** What programs get wrong, and what they are told. Used by a test and by a process of its own. */
import { Effect, Exit, Option, Redacted, Schema, type Scope } from "effect"
import { Zmq } from "effect-zmq"
import { boundTo, failureOf, freshEndpoint, texts, whenFree } from "./sockets.ts"

export interface BadInput {
  readonly name: string
  /** The tag of the error, with its reason or option. */
  readonly expected: string
  readonly run: Effect.Effect<string, unknown, Scope.Scope>
}

type Failure = { readonly _tag: string; readonly reason?: string; readonly option?: string }

/** How an effect ended: the tag of its typed failure with its reason or option, or `"ok"`, or `"defect"`. */
const said = <A, E extends Failure, R>(self: Effect.Effect<A, E, R>): Effect.Effect<string, never, R> =>
  Effect.map(Effect.exit(self), (exit) => {
    if (Exit.isSuccess(exit)) return "ok"
    const failure = failureOf(exit)
    if (failure === undefined) return "defect"
    const detail = failure.option ?? (failure._tag === "DecodeError" ? undefined : failure.reason)
    return detail === undefined ? failure._tag : `${failure._tag} ${detail}`
  })

// -----------------------------------------------------------------------------
// options
// -----------------------------------------------------------------------------

/** As from JavaScript, where no compiler looks. The endpoint must be free again after it. */
const refusedOption = (
  name: string,
  expected: string,
  open: (options: never) => Effect.Effect<Zmq.Socket, Zmq.SocketError, Scope.Scope>,
  options: object
): BadInput => ({
  name: `option: ${name}`,
  expected,
  run: Effect.gen(function* () {
    const endpoint = freshEndpoint("inproc")
    const result = yield* said(open({ bind: endpoint, ...options } as never))
    yield* whenFree(Zmq.pull({ bind: endpoint }))
    return result
  })
})

const options: ReadonlyArray<BadInput> = [
  refusedOption("unknown to every type", "OptionError colour", Zmq.pull, { colour: "red" }),
  refusedOption("of another type", "OptionError sendTimeout", Zmq.pull, { sendTimeout: 1 }),
  refusedOption("a number that is text", "OptionError receiveHighWaterMark", Zmq.pull, { receiveHighWaterMark: "10" }),
  refusedOption("a negative number", "OptionError sendHighWaterMark", Zmq.push, { sendHighWaterMark: -1 }),
  refusedOption("not a number", "OptionError linger", Zmq.push, { linger: Number.NaN }),
  refusedOption("no duration", "OptionError receiveTimeout", Zmq.pull, { receiveTimeout: "soon" }),
  refusedOption("a boolean that is a number", "OptionError conflate", Zmq.pull, { conflate: 1 }),
  refusedOption("a routing id of 0 bytes", "OptionError routingId", Zmq.dealer, { routingId: "" }),
  refusedOption("a routing id of 256 bytes", "OptionError routingId", Zmq.dealer, { routingId: Buffer.alloc(256, 1) }),
  refusedOption("a routing id with a NUL", "OptionError routingId", Zmq.dealer, { routingId: "a\0b" }),
  refusedOption("a SUB that subscribes to nothing", "OptionError subscribe", Zmq.sub, {}),
  refusedOption("a secret in the open", "OptionError plainPassword", Zmq.pull, {
    plainUsername: "ann",
    plainPassword: "secret"
  }),
  refusedOption("a key that is none", "OptionError curveServerKey", Zmq.pull, { curveServerKey: "short" }),
  refusedOption("a CURVE server without its key", "OptionError curveSecretKey", Zmq.pull, { curveServer: true }),
  refusedOption("two mechanisms", "OptionError curveServer", Zmq.pull, {
    plainUsername: "ann",
    plainPassword: Redacted.make("secret"),
    curveServer: true
  }),
  refusedOption("an endpoint that is no text", "OptionError connect", Zmq.pull, { connect: [5555] }),
  {
    name: "option: no object at all",
    expected: "OptionError options",
    run: said(Zmq.pull("tcp://127.0.0.1:5555" as never))
  }
]

// -----------------------------------------------------------------------------
// endpoints
// -----------------------------------------------------------------------------

const badBinds = [
  ["", "InvalidEndpoint"],
  ["tcp://127.0.0.1", "InvalidEndpoint"],
  ["tcp://127.0.0.1:99999", "InvalidEndpoint"],
  ["tcp://127.0.0.1:5555\0", "InvalidEndpoint"],
  ["foo://bar", "UnsupportedTransport"],
  ["ipc:///no/such/folder/a.sock", "NoSuchPath"],
  ["tcp://192.0.2.1:*", "AddressNotAvailable"],
  ["tcp://nosuchif:*", "AddressNotAvailable"],
  ["inproc://zeromq.zap.01", "IncompatibleTransport"]
] as const
const badConnects = [
  ["", "InvalidEndpoint"],
  ["tcp://*:5555", "InvalidEndpoint"],
  ["tcp://127.0.0.1:*", "InvalidEndpoint"],
  ["tcp://127.0.0.1:65536", "InvalidEndpoint"],
  ["udp://127.0.0.1:5555", "UnsupportedTransport"]
] as const

const endpoints: ReadonlyArray<BadInput> = [
  ...badBinds.flatMap(([endpoint, reason]) => [
    {
      name: `bind ${JSON.stringify(endpoint)} of an open socket, which goes on`,
      expected: `BindError ${reason}`,
      run: Effect.gen(function* () {
        const pull = yield* Zmq.pull()
        const result = yield* said(pull.bind(endpoint))
        yield* pull.bind(freshEndpoint("tcp"))
        yield* Zmq.push({ connect: boundTo(pull) }).pipe(Effect.flatMap((push) => push.send("x")))
        yield* pull.recv
        return result
      })
    },
    {
      name: `bind ${JSON.stringify(endpoint)} as the second of two: the first is free again`,
      expected: `BindError ${reason}`,
      run: Effect.gen(function* () {
        const good = freshEndpoint("inproc")
        const result = yield* said(Zmq.pull({ bind: [good, endpoint] }))
        yield* whenFree(Zmq.pull({ bind: good }))
        return result
      })
    }
  ]),
  ...badConnects.map(([endpoint, reason]) => ({
    name: `connect ${JSON.stringify(endpoint)}`,
    expected: `ConnectError ${reason}`,
    run: Effect.gen(function* () {
      const good = freshEndpoint("inproc")
      const result = yield* said(Zmq.push({ bind: good, connect: endpoint }))
      yield* whenFree(Zmq.pull({ bind: good }))
      const push = yield* Zmq.push()
      return (yield* said(push.connect(endpoint))) === result ? result : "another error after opening"
    })
  })),
  ...(["tcp", "inproc"] as const).map((transport) => ({
    name: `bind a ${transport} endpoint that is in use`,
    expected: "BindError AddressInUse",
    run: Effect.gen(function* () {
      const first = yield* Zmq.pull({ bind: freshEndpoint(transport) })
      const result = yield* said(Zmq.pull({ bind: boundTo(first) }))
      yield* Zmq.push({ connect: boundTo(first) }).pipe(Effect.flatMap((push) => push.send("x")))
      yield* first.recv
      return result
    })
  })),
  {
    name: "unbind what is not bound",
    expected: "BindError NoSuchEndpoint",
    run: Effect.flatMap(Zmq.pull(), (pull) => said(pull.unbind("tcp://127.0.0.1:5555")))
  },
  {
    name: "disconnect what is not connected",
    expected: "ConnectError NoSuchEndpoint",
    run: Effect.flatMap(Zmq.pull(), (pull) => said(pull.disconnect("tcp://127.0.0.1:5555")))
  }
]

// -----------------------------------------------------------------------------
// messages
// -----------------------------------------------------------------------------

const pipeline = Effect.gen(function* () {
  const pull = yield* Zmq.pull({ bind: freshEndpoint("inproc") })
  const push = yield* Zmq.push({ connect: boundTo(pull) })
  return { pull, push }
})

const notMessages: ReadonlyArray<unknown> = [
  [],
  null,
  undefined,
  1,
  true,
  {},
  [1],
  [null],
  ["a", undefined],
  [["a"]],
  new Map(),
  new Uint16Array(2),
  new ArrayBuffer(2),
  Symbol("a")
]
const show = (value: unknown): string =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.prototype.toString.call(value)
    : Array.isArray(value)
      ? JSON.stringify(value)
      : String(value)

/** Whatever was refused, what is sent before and after it arrives and nothing else does. */
const refusedMessage = (
  name: string,
  run: (push: Zmq.Push) => Effect.Effect<unknown, Failure, Scope.Scope>
): BadInput => ({
  name,
  expected: "EncodeError",
  run: Effect.gen(function* () {
    const { pull, push } = yield* pipeline
    yield* push.send("before")
    const result = yield* said(run(push))
    yield* push.send("after")
    const received = (yield* pull.drain).flatMap(texts).join()
    return received === "before,after" ? result : `received ${received}`
  })
})

const Job = Schema.Struct({ id: Schema.Number })
const cyclic: { self?: unknown } = {}
cyclic.self = cyclic

const sending: ReadonlyArray<BadInput> = [
  ...notMessages.map((value) => refusedMessage(`send ${show(value)}`, (push) => push.send(value as never))),
  refusedMessage("trySend []", (push) => push.trySend([] as never)),
  refusedMessage("sendAll of bad messages", (push) => push.sendAll([[], 1] as never)),
  refusedMessage("sendJson of undefined", (push) => push.sendJson(undefined)),
  refusedMessage("sendJson of a bigint", (push) => push.sendJson(1n)),
  refusedMessage("sendJson of a cycle", (push) => push.sendJson(cyclic)),
  refusedMessage("sendSchema of another shape", (push) => push.sendSchema(Job)({ id: "1" } as never)),
  {
    name: "request []",
    expected: "EncodeError EncodeError",
    run: Effect.gen(function* () {
      const router = yield* Zmq.router({ bind: freshEndpoint("inproc") })
      const req = yield* Zmq.req({ connect: boundTo(router) })
      const dealer = yield* Zmq.dealer({ connect: boundTo(router) })
      const results = [yield* said(req.request([] as never)), yield* said(dealer.request([] as never))]
      const left = (yield* router.drain).length
      return left === 0 ? results.join(" ") : `received ${left}`
    })
  },
  {
    name: "a reply that is no message: the request is received again",
    expected: "EncodeError",
    run: Effect.gen(function* () {
      const rep = yield* Zmq.rep({ bind: freshEndpoint("inproc") })
      const req = yield* Zmq.req({ connect: boundTo(rep) })
      yield* req.send("?")
      const result = yield* said(rep.serve(() => Effect.succeed([] as never)))
      return (yield* rep.recvString) === "?" ? result : "lost the request"
    })
  },
  ...(
    [
      ["of 0 bytes", Buffer.alloc(0)],
      ["of 256 bytes", Buffer.alloc(256, 1)],
      ["of nobody", "nobody"],
      ["of nobody, with a NUL", Buffer.from([0, 1, 2, 3, 4])]
    ] as const
  ).flatMap(([what, id]) =>
    (["router", "rawStream"] as const).map((type) => ({
      name: `${type} send to a routing id ${what}`,
      expected: "Unroutable Unroutable",
      run: Effect.gen(function* () {
        const socket = yield* Zmq[type]({ bind: freshEndpoint("tcp") })
        const results = [yield* said(socket.send([id, "body"])), yield* said(socket.trySend([id, "body"]))]
        return results.join(" ")
      })
    }))
  )
]

// -----------------------------------------------------------------------------
// receiving
// -----------------------------------------------------------------------------

/** The error has the message, and the next receive has the next one. */
const refusedContent = (
  name: string,
  message: Zmq.Outgoing,
  receive: (pull: Zmq.Pull) => Effect.Effect<unknown, Zmq.Again | Zmq.Closed | Zmq.DecodeError>
): BadInput => ({
  name,
  expected: "DecodeError",
  run: Effect.gen(function* () {
    const { pull, push } = yield* pipeline
    yield* push.send(message)
    yield* push.send("next")
    const exit = yield* Effect.exit(receive(pull))
    const failure = Exit.isFailure(exit) ? failureOf(exit) : undefined
    if (failure?._tag !== "DecodeError") return failure?._tag ?? "no error"
    const sent = typeof message === "string" || message instanceof Uint8Array ? [message] : message
    const hex = (frames: ReadonlyArray<string | Uint8Array>) =>
      frames.map((frame) => Buffer.from(frame as string).toString("hex")).join()
    if (hex(failure.frames) !== hex(sent)) return "another message"
    return (yield* pull.recvString) === "next" ? "DecodeError" : "lost the next message"
  })
})

const notText = Buffer.from([0x66, 0xff, 0xfe])
const receiving: ReadonlyArray<BadInput> = [
  refusedContent("recvString of bytes", notText, (pull) => pull.recvString),
  refusedContent("recvString of two frames", ["a", "b"], (pull) => pull.recvString),
  refusedContent("recvStrings with bytes", ["a", notText], (pull) => pull.recvStrings),
  refusedContent("recvJson of text", "{", (pull) => pull.recvJson),
  refusedContent("recvJson of an empty frame", "", (pull) => pull.recvJson),
  refusedContent("recvJson of bytes", notText, (pull) => pull.recvJson),
  refusedContent("recvJson of two frames", ["1", "2"], (pull) => pull.recvJson),
  refusedContent("recvSchema of text", "{", (pull) => pull.recvSchema(Job)),
  refusedContent("recvSchema of another shape", '{"id":"1"}', (pull) => pull.recvSchema(Job)),
  {
    name: "recv out of turn",
    expected: "InvalidState InvalidState",
    run: Effect.gen(function* () {
      const rep = yield* Zmq.rep({ bind: freshEndpoint("inproc") })
      const req = yield* Zmq.req({ connect: boundTo(rep) })
      const results = [yield* said(req.recv), yield* said(rep.send("!"))]
      yield* req.send("?")
      return Option.isSome(yield* rep.tryRecv) ? results.join(" ") : "lost the request"
    })
  }
]

export const badInputs: ReadonlyArray<BadInput> = [...options, ...endpoints, ...sending, ...receiving]
