/** The sockets of workload (o): one of ours, and raw peers of zeromq.js. Each knows which texts it has heard. */
import { Effect, type Scope } from "effect"
import { Zmq } from "effect-zmq"
import * as zmq from "zeromq"

export interface Raw {
  readonly id: string
  readonly socket: zmq.Socket
  readonly heard: Set<string>
  connect(endpoint: string): void
  /** Throws if it is not free. */
  bind(endpoint: string): void
  /** Now, or not at all. */
  say(text: string): void
}

export type RawType = "pull" | "push" | "dealer" | "router" | "pair" | "sub" | "pub" | "xsub" | "xpub" | "req" | "rep"

const common = { linger: 0, reconnectInterval: 50 } as const

const rawSockets: Readonly<Record<RawType, (id: string) => zmq.Socket>> = {
  pull: () => new zmq.Pull(common),
  push: () => new zmq.Push({ ...common, sendTimeout: 0 }),
  dealer: (routingId) => new zmq.Dealer({ ...common, sendTimeout: 0, routingId }),
  router: () => new zmq.Router(common),
  pair: () => new zmq.Pair({ ...common, sendTimeout: 0 }),
  sub: () => {
    const sub = new zmq.Subscriber(common)
    sub.subscribe("")
    return sub
  },
  pub: () => new zmq.Publisher({ ...common, sendTimeout: 0 }),
  xsub: () => new zmq.XSubscriber({ ...common, sendTimeout: 0 }),
  xpub: () => new zmq.XPublisher({ ...common, sendTimeout: 0 }),
  req: () => new zmq.Request({ ...common, sendTimeout: 0, relaxed: true, correlate: true }),
  rep: () => new zmq.Reply(common)
}

// zeromq.js has a `send` on all of them.
const speaking: ReadonlySet<RawType> = new Set<RawType>(["push", "dealer", "pair", "pub", "xpub", "req"])

/** Opens a raw socket, which notes all that it hears. */
export const rawOf = (type: RawType, id: string): Raw => {
  const socket = rawSockets[type](id)
  const heard = new Set<string>()
  const read = async (receiver: zmq.Readable) => {
    for await (const message of receiver) {
      heard.add((message as ReadonlyArray<Buffer>).at(-1)!.toString())
      if (socket instanceof zmq.Reply) await socket.send("heard")
    }
  }
  // Only then: of one that is connected while it receives, zeromq.js may lose the wake-up.
  let reading = false
  const startReading = () => {
    if (!reading && "receive" in socket) read(socket as unknown as zmq.Readable).catch(() => {})
    reading = true
  }
  // It hears all topics.
  if (socket instanceof zmq.XSubscriber) socket.send(Buffer.from([1])).catch(() => {})
  return {
    id,
    socket,
    heard,
    connect: (endpoint) => {
      socket.connect(endpoint)
      startReading()
    },
    bind: (endpoint) => {
      socket.bindSync(endpoint)
      startReading()
    },
    say: (text) => {
      if (!socket.closed && speaking.has(type)) (socket as unknown as zmq.Writable).send(text).catch(() => {})
    }
  }
}

export interface Subject {
  readonly socket: Zmq.Socket
  readonly heard: Set<string>
  /** Says something to a peer, and whether it could. */
  readonly say?: (text: string, to: string) => Effect.Effect<boolean>
  /** Notes what there is, once. */
  readonly listen?: Effect.Effect<void>
  /** Goes on listening, instead. */
  readonly keepListening?: Effect.Effect<void>
  readonly topics?: Zmq.Subscriber
}

const saying =
  (send: (text: string, to: string) => Effect.Effect<boolean, unknown>) =>
  (text: string, to: string): Effect.Effect<boolean> =>
    Effect.orElseSucceed(send(text, to), () => false)

const hearing = (socket: Zmq.Receiver, heard: Set<string>) => {
  const note = (message: Zmq.Message) => Effect.sync(() => heard.add(message.at(-1)!.toString()))
  return {
    listen: Effect.ignore(
      Effect.flatMap(socket.drain, (messages) => Effect.forEach(messages, note, { discard: true }))
    ),
    keepListening: Effect.ignore(socket.runForEach(note))
  }
}

type Open = Effect.Effect<Subject, Zmq.SocketError, Scope.Scope>

const make = <S extends Zmq.Socket>(
  open: Effect.Effect<S, Zmq.SocketError, Scope.Scope>,
  rest: (socket: S, heard: Set<string>) => Omit<Subject, "socket" | "heard">
): Open =>
  Effect.map(open, (socket) => {
    const heard = new Set<string>()
    return { socket, heard, ...rest(socket, heard) }
  })

// Whoever is connected to again is there soon.
const options = { linger: 0, reconnectInterval: 50 } as const

/** Each type, with the type of its peers, and that of who takes its place. */
// No PAIR: libzmq turns away for good who comes before the end of the one before was seen (docs/bounds.md).
export const types: Readonly<Record<string, { readonly open: Open; readonly peer: RawType; readonly like: RawType }>> =
  {
    pull: { open: make(Zmq.pull(options), hearing), peer: "push", like: "pull" },
    push: { open: make(Zmq.push(options), (push) => ({ say: saying(push.trySend) })), peer: "pull", like: "push" },
    dealer: {
      open: make(Zmq.dealer(options), (dealer, heard) => ({ ...hearing(dealer, heard), say: saying(dealer.trySend) })),
      peer: "dealer",
      like: "dealer"
    },
    router: {
      open: make(Zmq.router(options), (router, heard) => ({
        ...hearing(router, heard),
        say: saying((text, to) => router.trySend([to, text]))
      })),
      peer: "dealer",
      like: "router"
    },
    pub: { open: make(Zmq.pub(options), (pub) => ({ say: saying(pub.trySend) })), peer: "sub", like: "pub" },
    xpub: { open: make(Zmq.xpub(options), (xpub) => ({ say: saying(xpub.trySend) })), peer: "xsub", like: "xpub" },
    sub: {
      open: make(Zmq.sub({ ...options, subscribe: [""] }), (sub, heard) => ({ ...hearing(sub, heard), topics: sub })),
      peer: "pub",
      like: "sub"
    },
    xsub: {
      open: Effect.tap(
        make(Zmq.xsub(options), (xsub, heard) => ({ ...hearing(xsub, heard), topics: xsub })),
        ({ topics }) => Effect.orDie(topics!.subscribe(""))
      ),
      peer: "xpub",
      like: "xsub"
    },
    req: {
      open: make(Zmq.req({ ...options, receiveTimeout: 100 }), (req) => ({
        say: saying((text) => Effect.as(Effect.timeout(req.request(text), 200), true))
      })),
      peer: "rep",
      like: "req"
    },
    rep: {
      open: make(Zmq.rep(options), (rep, heard) => ({
        listen: Effect.ignore(
          Effect.flatMap(rep.tryRecv, (request) => {
            if (request._tag === "None") return Effect.void
            heard.add(request.value.at(-1)!.toString())
            return rep.send("heard")
          })
        ),
        keepListening: Effect.ignore(
          rep.serve((request) =>
            Effect.sync(() => {
              heard.add(request.at(-1)!.toString())
              return "heard"
            })
          )
        )
      })),
      peer: "req",
      like: "rep"
    }
  }
