import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { RpcClientError } from "effect/rpc/RpcClientError"
import type { FromServerEncoded, RequestEncoded } from "effect/rpc/RpcMessage"
import { Queue } from "../queue.ts"
import type { Link } from "./link.ts"

/** How a call ends for its sender: its reply is on its way to it, or it has failed. */
export type Resume = (effect: Effect.Effect<void, RpcClientError>) => void

/** Does with a response what is to be done. */
export type Deliver = (clientId: number, response: FromServerEncoded) => Fiber.Fiber<void>

/**
 * A call that is not done. Its responses are handed on in order, and one of a stream
 * that nobody reads waits here, and not in the way of others.
 */
export class Call {
  readonly clientId: number
  readonly request: RequestEncoded
  private readonly resume: Resume
  private readonly deliver: Deliver
  /** Who has it, once it was sent. */
  link: Link | undefined
  private readonly responses = new Queue<FromServerEncoded | Effect.Effect<void, RpcClientError>>()
  private isBusy = false
  private isLast = false

  constructor(clientId: number, request: RequestEncoded, resume: Resume, deliver: Deliver) {
    this.clientId = clientId
    this.request = request
    this.resume = resume
    this.deliver = deliver
  }

  /** How many responses wait. */
  get waiting(): number {
    return this.responses.length
  }

  /** A response has come. */
  answer(response: FromServerEncoded): void {
    if (this.isLast) return
    if (response._tag === "Exit") this.isLast = true
    this.next(response)
  }

  /** It ends without an answer, behind those that it has had. */
  fail(effect: Effect.Effect<void, RpcClientError>): void {
    if (this.isLast) return
    this.isLast = true
    this.next(effect)
  }

  private next(one: FromServerEncoded | Effect.Effect<void, RpcClientError>): void {
    if (this.isBusy) this.responses.append(one)
    else this.handOn(one)
  }

  private handOn(one: FromServerEncoded | Effect.Effect<void, RpcClientError>): void {
    if (Effect.isEffect(one)) return this.resume(one)
    // It has been sent, as far as its sender is concerned: the reply is next.
    if (one._tag === "Exit") this.resume(Effect.void)
    const fiber = this.deliver(this.clientId, one)
    if (fiber.pollUnsafe() !== undefined) return
    this.isBusy = true
    fiber.addObserver(() => {
      this.isBusy = false
      while (!this.isBusy && this.responses.length > 0) this.handOn(this.responses.take())
    })
  }
}
