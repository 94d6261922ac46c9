/** The types of sockets. */
import type { SocketType as Type } from "../socketTypes.ts"
import type { Core, Pattern } from "./pattern/pattern.ts"
import { Dealer, Pair, Pull, Push } from "./pattern/pipeline.ts"
import { Pub, Sub, Xpub, Xsub } from "./pattern/publish.ts"
import { Rep, Req } from "./pattern/request.ts"
import { Router, Stream } from "./pattern/router.ts"
import type { SocketType } from "./protocol/connection.ts"

const patterns: { readonly [type in string]: new (core: Core) => Pattern } = {
  pull: Pull,
  push: Push,
  pub: Pub,
  sub: Sub,
  req: Req,
  rep: Rep,
  dealer: Dealer,
  router: Router,
  pair: Pair,
  xpub: Xpub,
  xsub: Xsub,
  rawStream: Stream
}

/** Whether there is such a socket. Drafts of libzmq are not. */
export const hasPattern = (type: Type): boolean => patterns[type] !== undefined

export const makePattern = (type: Type, core: Core): Pattern => new patterns[type]!(core)

/** As it is said in a handshake. A STREAM has none. */
export const typeOf = (type: Type): SocketType | undefined =>
  type === "rawStream" ? undefined : (type.toUpperCase() as SocketType)
