/** The subjects on libzmq, by way of zeromq.js. */
import * as zmq from "zeromq"
import {
  type Answer,
  credentials,
  type Driven,
  type Driver,
  keys,
  kinds,
  type Library,
  mark,
  type Running,
  type Spec
} from "./subject.ts"

let zap: zmq.Reply | undefined

/** libzmq asks about clients at this address. The domain says what it is to be told. */
const serveZap = async (): Promise<void> => {
  if (zap !== undefined) return
  zap = new zmq.Reply({ linger: 0 })
  await zap.bind("inproc://zeromq.zap.01")
  const answers = zap
  void (async () => {
    for await (const [version, id, domain, , , mechanism, name, password] of answers) {
      const known =
        String(mechanism) !== "PLAIN" ||
        (String(name) === credentials.username && String(password) === credentials.password)
      await answers.send([version!, id!, known && String(domain) !== "refuses" ? "200" : "400", "", "user", ""])
    }
  })().catch(() => {})
}

const security = ({ endpoint, mechanism, refuses }: Spec): zmq.SocketOptions<zmq.Dealer> => {
  const domain = { zapDomain: refuses === true ? "refuses" : "accepts" }
  if (mechanism === "NULL") return refuses === true ? domain : {}
  if (endpoint !== undefined)
    return mechanism === "PLAIN"
      ? { plainUsername: credentials.username, plainPassword: credentials.password }
      : { curvePublicKey: keys.clientPublic, curveSecretKey: keys.clientSecret, curveServerKey: keys.serverPublic }
  return mechanism === "PLAIN"
    ? { plainServer: true, ...domain }
    : { curveServer: true, curvePublicKey: keys.serverPublic, curveSecretKey: keys.serverSecret, ...domain }
}

const quietly = (run: () => Promise<void>): void => {
  // A receive fails when the socket is closed.
  run().catch(() => {})
}

const classes = {
  req: zmq.Request,
  rep: zmq.Reply,
  dealer: zmq.Dealer,
  router: zmq.Router,
  pub: zmq.Publisher,
  xpub: zmq.XPublisher,
  sub: zmq.Subscriber,
  xsub: zmq.XSubscriber,
  push: zmq.Push,
  pull: zmq.Pull,
  pair: zmq.Pair
}

const driverOf = (socket: zmq.Dealer, type: Driven): Driver => {
  const receive: Driver["receive"] = () =>
    socket.receive().then(
      (message) => message.map((frame) => frame.toString("latin1")),
      // zeromq.js says this where a message was there that libzmq has dropped.
      (error: { readonly code?: string }) => (error.code === "EAGAIN" ? receive() : "wrong")
    )
  return {
    send: (...frames) =>
      socket.send(frames.map((frame) => Buffer.from(frame, "latin1"))).then(
        (): Answer => "sent",
        (error: { readonly code?: string }): Answer => (error.code === "EAGAIN" ? "full" : "wrong")
      ),
    receive: async () => (type === "push" || type === "pub" ? "wrong" : receive())
  }
}

const start = async (spec: Spec): Promise<Running> => {
  await serveZap()
  const options = { ...security(spec), linger: 0, reconnectInterval: 20 }
  const stopping = (socket: { close(): void }, endpoint: string): Running => ({
    endpoint,
    stop: async () => socket.close()
  })
  const anywhere = "tcp://127.0.0.1:*"
  switch (spec.kind) {
    case "echo": {
      const router = new zmq.Router(options)
      await router.bind(anywhere)
      quietly(async () => {
        for await (const [id, ...frames] of router) await router.send([id!, id!, ...frames])
      })
      return stopping(router, router.lastEndpoint!)
    }
    case "xpub": {
      const xpub = new zmq.XPublisher(options)
      await xpub.bind(anywhere)
      quietly(async () => {
        while (true) {
          const message = await xpub.receive()
          if (message[0]![0] !== undefined && message[0]![0] > 1) await xpub.send(message)
        }
      })
      return stopping(xpub, xpub.lastEndpoint!)
    }
    case "rep": {
      const rep = new zmq.Reply(options)
      await rep.bind(anywhere)
      quietly(async () => {
        for await (const message of rep) await rep.send(message)
      })
      return stopping(rep, rep.lastEndpoint!)
    }
    case "dealer": {
      const dealer = new zmq.Dealer({ ...options, routingId: "me" })
      dealer.connect(spec.endpoint!)
      quietly(async () => {
        await dealer.send("hello")
        for await (const message of dealer) await dealer.send(message)
      })
      return stopping(dealer, spec.endpoint!)
    }
    case "sub": {
      const sub = new zmq.Subscriber(options)
      sub.connect(spec.endpoint!)
      sub.subscribe("A")
      quietly(async () => {
        await sub.receive()
        sub.unsubscribe("A")
      })
      return stopping(sub, spec.endpoint!)
    }
    case "req": {
      const req = new zmq.Request(options)
      req.connect(spec.endpoint!)
      quietly(async () => {
        for (let message: zmq.MessageLike | Array<zmq.MessageLike> = "hello"; ; message = await req.receive())
          await req.send(message)
      })
      return stopping(req, spec.endpoint!)
    }
    default: {
      const type = spec.kind.slice(7) as Driven
      const Class = classes[type] as unknown as typeof zmq.Dealer
      const socket = new Class(options)
      if ("sendHighWaterMark" in socket) socket.sendHighWaterMark = mark
      if ("receiveHighWaterMark" in socket) socket.receiveHighWaterMark = mark
      if ("sendTimeout" in socket) socket.sendTimeout = 0
      if (spec.endpoint === undefined) await socket.bind(anywhere)
      else socket.connect(spec.endpoint)
      if (type === "sub") (socket as unknown as zmq.Subscriber).subscribe("")
      return { ...stopping(socket, socket.lastEndpoint!), driver: driverOf(socket, type) }
    }
  }
}

export const zeromq: Library = { kinds, start }
