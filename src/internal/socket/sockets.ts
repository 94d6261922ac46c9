import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Zmq from "../../Zmq.ts"
import type { SocketError } from "../../ZmqError.ts"
import { Receiving } from "../receive/receive.ts"
import { DealerRequests } from "../request/dealer.ts"
import { RepTurn } from "../request/rep.ts"
import { ReqTurn } from "../request/req.ts"
import { Sending } from "../send/send.ts"
import type { StableType } from "../socketTypes.ts"
import { socketOf } from "./common.ts"
import { openSocket } from "./open.ts"
import { receiverOf, receivesOf, receivingOf } from "./receiver.ts"
import { requestsOf, serversOf } from "./responder.ts"
import { senderOf, sendingBytes, sendingOf, sendingToPeers, sendingUpstream, sendsOf } from "./sender.ts"
import type { SocketCore } from "./socket.ts"
import { publisherOf, subscriberOf } from "./topics.ts"

// What a type has besides what all sockets have.
export const operations: { readonly [Type in StableType]: (core: SocketCore) => object } = {
  pull: (core) => receiverOf(receivingOf(core), core.type),
  push: (core) => senderOf(sendingOf(core)),
  pub: (core) => ({ ...senderOf(sendingOf(core)), ...publisherOf(core) }),
  sub: (core) => ({ ...receiverOf(receivingOf(core), core.type), ...subscriberOf(core) }),
  req: (core) => {
    const turn = new ReqTurn(core.inbox, core.options.relaxed)
    const sending = new Sending(core.outbox, core.options.sendTimeout, turn.sending)
    const receiving = new Receiving(core.inbox, core.options.receiveTimeout, turn.receiving)
    return {
      ...receivesOf(receiving, core.type),
      ...sendsOf(sending),
      ...requestsOf(turn.requester(sending, receiving))
    }
  },
  rep: (core) => {
    const turn = new RepTurn()
    const sending = new Sending(core.outbox, core.options.sendTimeout, turn.sending)
    const receiving = new Receiving(core.inbox, core.options.receiveTimeout, turn.receiving)
    return {
      ...receivesOf(receiving, core.type),
      ...sendsOf(sending),
      ...serversOf(receiving, sending, "rep")
    }
  },
  dealer: (core) => {
    const sending = sendingOf(core)
    const requests = new DealerRequests(sending, core.inbox, core.options.receiveTimeout)
    return {
      ...receiverOf(receivingOf(core), core.type),
      ...senderOf(sending),
      ...requestsOf((message) => requests.request(message))
    }
  },
  router: (core) => {
    const sending = sendingToPeers(core)
    const receiving = receivingOf(core)
    return {
      ...receiverOf(receiving, core.type),
      ...senderOf(sending),
      ...serversOf(receiving, sending, "router")
    }
  },
  pair: (core) => ({ ...receiverOf(receivingOf(core), core.type), ...senderOf(sendingOf(core)) }),
  xpub: (core) => ({ ...receiverOf(receivingOf(core), core.type), ...senderOf(sendingOf(core)), ...publisherOf(core) }),
  xsub: (core) => ({
    ...receiverOf(receivingOf(core), core.type),
    ...senderOf(sendingUpstream(core)),
    ...subscriberOf(core)
  }),
  rawStream: (core) => ({ ...receiverOf(receivingOf(core), core.type), ...senderOf(sendingBytes(core)) })
}

// The operations are written once, for all types: which of them fail with what
// is for the interfaces in `Zmq.ts` to say.
export const open =
  <S extends Zmq.Socket & { readonly type: StableType }>(type: S["type"]) =>
  (options?: object): Effect.Effect<S, SocketError, Scope.Scope> =>
    Effect.map(openSocket(type, options), (core) => socketOf<S>(core, operations[type](core)))

export const pull = open<Zmq.Pull>("pull")
export const push = open<Zmq.Push>("push")
export const pub = open<Zmq.Pub>("pub")
export const sub = open<Zmq.Sub>("sub")
export const req = open<Zmq.Req>("req")
export const rep = open<Zmq.Rep>("rep")
export const dealer = open<Zmq.Dealer>("dealer")
export const router = open<Zmq.Router>("router")
export const pair = open<Zmq.Pair>("pair")
export const xpub = open<Zmq.XPub>("xpub")
export const xsub = open<Zmq.XSub>("xsub")
export const rawStream = open<Zmq.RawStream>("rawStream")
