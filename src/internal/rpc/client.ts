/** The client's side: which server has which call, and what becomes of calls whose server is gone. */
import * as Effect from "effect/Effect"
import type { RpcClientError } from "effect/rpc/RpcClientError"
import type { FromClientEncoded, FromServerEncoded, RequestEncoded } from "effect/rpc/RpcMessage"
import { Call, type Deliver, type Resume } from "./call.ts"
import { ConnectionError, toClientError } from "./errors.ts"
import type { Link } from "./link.ts"
import { TooLarge } from "./size.ts"

// How many responses of a call may wait until its reader takes them. A server of ours sends a window of them.
const mostWaiting = 10_000

interface Surroundings {
  readonly deliver: Deliver
  readonly decodeDefect: (defect: unknown) => unknown
  /** Whether calls wait while there is no server, or fail. */
  readonly waits: boolean
  /** The first server is there, or the last is gone. */
  readonly onChange: (connected: boolean) => void
}

/** How it stands with an endpoint. */
interface Place {
  state: "opening" | "open" | "down" | "over"
  error: RpcClientError | undefined
}

export class Client {
  private readonly around: Surroundings
  private readonly calls = new Map<string | number, Call>()
  private readonly waiting = new Set<Call>()
  private readonly links: Array<Link> = []
  private readonly places = new Map<string, Place>()
  private turn = 0
  private closed: RpcClientError | undefined

  constructor(around: Surroundings, endpoints: ReadonlyArray<string>) {
    this.around = around
    for (const endpoint of endpoints) this.places.set(endpoint, { state: "opening", error: undefined })
  }

  /** Calls that are not done. */
  get pending(): number {
    return this.calls.size
  }

  get servers(): number {
    return this.links.length
  }

  // ---------------------------------------------------------------------------
  // calls
  // ---------------------------------------------------------------------------

  /** Makes a call. `resume` is told when its reply is next, or that there is none. Returns what gives it up. */
  call(clientId: number, request: RequestEncoded, resume: Resume): () => void {
    const call = new Call(clientId, request, resume, this.around.deliver)
    if (this.calls.has(request.id)) {
      resume(Effect.die(new Error(`the request id ${request.id} is in use: generateRequestId must give each its own`)))
      return ignore
    }
    this.calls.set(request.id, call)
    const link = this.choose()
    if (link !== undefined) this.dispatch(call, link)
    else this.wait(call)
    return () => this.giveUp(call)
  }

  /** Tells the server of a call something about it. */
  tell(message: Exclude<FromClientEncoded, RequestEncoded>): void {
    if (message._tag !== "Ack" && message._tag !== "Interrupt") return
    const call = this.calls.get(message.requestId)
    if (call === undefined) return
    if (message._tag === "Interrupt") {
      this.giveUp(call)
      call.fail(Effect.void)
    } else if (call.link?.isOpen) call.link.send(message)
  }

  private choose(): Link | undefined {
    const { links } = this
    let best: Link | undefined
    // With as many calls each it is everybody's turn.
    for (let i = 0; i < links.length; i++) {
      const link = links[(this.turn + i) % links.length]!
      if (best === undefined || link.calls.size < best.calls.size) best = link
    }
    this.turn++
    return best
  }

  private dispatch(call: Call, link: Link): void {
    this.waiting.delete(call)
    call.link = link
    link.calls.add(call)
    try {
      link.send(call.request)
    } catch (error) {
      this.forget(call)
      return call.fail(failureOf(error, link))
    }
    // Nothing is said to it.
    if (call.request.isNotification !== true) return
    this.forget(call)
    call.fail(Effect.void)
  }

  private wait(call: Call): void {
    const error = this.reasonNotToWait
    if (error === undefined) return void this.waiting.add(call)
    this.forget(call)
    call.fail(Effect.fail(error))
  }

  /** Why a call fails that no server could have now, if it is not to wait. */
  private get reasonNotToWait(): RpcClientError | undefined {
    if (this.closed !== undefined) return this.closed
    let error: RpcClientError | undefined
    for (const place of this.places.values()) {
      if (place.state === "opening" || place.state === "open") return undefined
      if (this.around.waits && place.state === "down") return undefined
      error = place.error ?? error
    }
    return error
  }

  private giveUp(call: Call): void {
    if (this.calls.get(call.request.id) !== call) return
    this.forget(call)
    if (call.link?.isOpen) call.link.send({ _tag: "Interrupt", requestId: call.request.id })
  }

  private forget(call: Call): void {
    if (this.calls.get(call.request.id) === call) this.calls.delete(call.request.id)
    this.waiting.delete(call)
    call.link?.calls.delete(call)
  }

  // ---------------------------------------------------------------------------
  // servers
  // ---------------------------------------------------------------------------

  open(endpoint: string, link: Link): void {
    this.at(endpoint).state = "open"
    this.links.push(link)
    if (this.links.length === 1) this.around.onChange(true)
    for (const call of [...this.waiting]) this.dispatch(call, this.choose()!)
  }

  answer(link: Link, responses: ReadonlyArray<FromServerEncoded>): void {
    for (const response of responses) {
      if (typeof response !== "object" || response === null) continue
      if (response._tag === "Defect") this.defect(link, response.defect)
      else if (response._tag === "Exit" || response._tag === "Chunk") {
        const call = this.calls.get(response.requestId)
        if (call === undefined || call.link !== link) continue
        if (response._tag === "Exit") this.forget(call)
        else if (call.waiting >= mostWaiting) {
          this.giveUp(call)
          call.fail(Effect.die(new Error("the server sends more of a stream than was asked for")))
          continue
        }
        call.answer(response)
      }
    }
  }

  // All calls of this client end with it. What the server still does for them is of use to nobody.
  private defect(link: Link, encoded: unknown): void {
    let defect = encoded
    try {
      defect = this.around.decodeDefect(encoded)
    } catch {
      // As it came.
    }
    for (const call of [...link.calls]) {
      this.giveUp(call)
      call.fail(Effect.die(defect))
    }
  }

  /** A server is gone, and all that it has answered was read. */
  linkEnd(link: Link, error: ConnectionError): void {
    const at = this.links.indexOf(link)
    if (at >= 0) this.links.splice(at, 1)
    const failure = Effect.fail(toClientError(error, "read"))
    for (const call of [...link.calls]) {
      this.forget(call)
      call.fail(failure)
    }
    if (at >= 0 && this.links.length === 0) this.around.onChange(false)
  }

  /** There is no server at an endpoint for now, or, once it is `over`, any more. */
  down(endpoint: string, error: ConnectionError, wasOpen: boolean, state: "down" | "over" = "down"): void {
    const place = this.at(endpoint)
    place.state = state
    place.error = toClientError(error, wasOpen ? "read" : "open")
    const reason = this.reasonNotToWait
    if (reason === undefined) return
    for (const call of [...this.waiting]) {
      this.forget(call)
      call.fail(Effect.fail(reason))
    }
  }

  private at(endpoint: string): Place {
    return this.places.get(endpoint)!
  }

  /** Nothing is tried any more. */
  close(): void {
    this.closed = toClientError(
      new ConnectionError({ endpoint: [...this.places.keys()].join(" "), reason: "Closed", detail: "" }),
      "open"
    )
    for (const call of [...this.waiting]) {
      this.forget(call)
      call.fail(Effect.fail(this.closed))
    }
  }
}

const failureOf = (error: unknown, { endpoint }: Link): Effect.Effect<never, RpcClientError> =>
  error instanceof TooLarge
    ? Effect.fail(
        toClientError(
          new ConnectionError({ endpoint, reason: "TooLarge", detail: error.message, cause: error }),
          "write"
        )
      )
    : Effect.die(error)

const ignore = (): void => {}
