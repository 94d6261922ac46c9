/**
 * The trace of whoever sends a message, in a first frame of it: a `traceparent` as
 * W3C has it, or nothing.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type { Codec } from "../../Codec.ts"
import type { Message, Outgoing } from "../../Message.ts"
import { isFrame } from "../send/send.ts"
import { CodecImpl, formatOf, Refusal } from "./codec.ts"

const written = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const nobody = /^0+$/
// With room for what later versions may add.
const longest = 256

/** The span that a frame names, if it names one: a peer that writes nonsense begins a trace of its own. */
const readTraceparent = (frame: Buffer): Tracer.ExternalSpan | undefined => {
  if (frame.length > longest) return undefined
  const [, traceId, spanId, flags] = written.exec(frame.toString("latin1")) ?? []
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined
  if (nobody.test(traceId) || nobody.test(spanId)) return undefined
  return Tracer.externalSpan({ traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 })
}

const writeTraceparent = ({ sampled, spanId, traceId }: Tracer.AnySpan): string =>
  `00-${traceId.padStart(32, "0")}-${spanId}-${sampled ? "01" : "00"}`

/** The span that the running fiber is in. */
const currentSpan = (): Tracer.AnySpan | undefined => {
  const fiber = Fiber.getCurrent()
  return fiber === undefined ? undefined : Option.getOrUndefined(Context.getOption(fiber.context, Tracer.ParentSpan))
}

class TracedImpl<A> extends CodecImpl<A> {}

// Of values that were decoded, as long as they are there.
const parents = new WeakMap<object, Tracer.ExternalSpan>()

const isObject = (value: unknown): value is object =>
  (typeof value === "object" && value !== null) || typeof value === "function"

const wrongCount = new Refusal("a first frame with the trace, and others behind it")

/** The same codec behind a first frame with the trace. */
export const traced = <A>(codec: Codec<A>): Codec<A> => {
  const format = formatOf(codec)
  return new TracedImpl<A>({
    encode: (value) => {
      const message = format.encode(value)
      if (message instanceof Refusal) return message
      const span = currentSpan()
      const header = span === undefined ? "" : writeTraceparent(span)
      return (isFrame(message) ? [header, message] : [header, ...message]) as Outgoing
    },
    decode: (message) => {
      if (message.length < 2) return wrongCount
      const value = format.decode(message.slice(1) as unknown as Message)
      if (value instanceof Refusal) return new Refusal(`behind the trace ${value.expected}`, value.cause)
      const parent = isObject(value) ? readTraceparent(message[0]) : undefined
      if (isObject(value) && parent !== undefined) parents.set(value, parent)
      return value
    }
  })
}

/** The span of whoever sent a value, if it was decoded by such a codec, and is an object. */
export const parentOf = (value: unknown): Tracer.ExternalSpan | undefined =>
  isObject(value) ? parents.get(value) : undefined

/** How to read the span of whoever sent a message, if it is a message of such a codec. */
export type TraceOf = ((message: Message) => Tracer.ExternalSpan | undefined) | undefined

export const traceOf = <A>(codec: Codec<A>): TraceOf =>
  codec instanceof TracedImpl ? (message) => readTraceparent(message[0]) : undefined

/** `self`, with that span as the parent of its spans. */
export const inTrace = <A, E, R>(
  parent: Tracer.ExternalSpan | undefined,
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => (parent === undefined ? self : Effect.withParentSpan(self, parent))
