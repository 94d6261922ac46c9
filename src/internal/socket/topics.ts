import * as Effect from "effect/Effect"
import { InvalidState, OptionError } from "../../ZmqError.ts"
import { isFrame } from "../send/send.ts"
import { whenOpen } from "./open.ts"
import { oneTopic } from "./options.ts"
import type { SocketCore } from "./socket.ts"

const isInvalidState = (error: unknown): error is InvalidState => error instanceof InvalidState
const isNever = (_: unknown): _ is never => false

// A list would be taken for the bytes of one topic. TypeScript refuses it, so it is a defect.
const topicOf = (topic: string | Uint8Array): Buffer => {
  if (isFrame(topic)) return Buffer.from(topic as string)
  throw new OptionError({ option: "topic", value: topic, expected: "one topic, as a string or a Uint8Array" })
}

export const publisherOf = (core: SocketCore) => ({
  awaitSubscribers: (topic: string | Uint8Array, count = 1) =>
    Effect.flatMap(
      whenOpen(core, "awaitSubscribers", isInvalidState, () => {
        const { subscribers } = core.port
        if (subscribers !== undefined && !core.options.uncountable) return subscribers
        throw new InvalidState({
          operation: "awaitSubscribers",
          expected: "A socket with `conflate` or `invertMatching` does not know its subscribers"
        })
      }),
      (subscribers) => {
        const bytes = topicOf(topic)
        const isSo = () => subscribers.matching(bytes) >= count
        return Effect.suspend(() => {
          let stop = (): void => {}
          const begin = Effect.callback<void>((resume) => {
            stop = subscribers.listen(() => resume(Effect.void))
          })
          return Effect.andThen(begin, core.connections.changed.until("awaitSubscribers", isSo)).pipe(
            Effect.ensuring(Effect.sync(() => stop()))
          )
        })
      }
    )
})

export const subscriberOf = (core: SocketCore) => {
  const change = (operation: string, run: () => void) => whenOpen(core, operation, isNever, run)
  return {
    subscribe: (topic: string | Uint8Array) =>
      Effect.suspend(() => {
        const bytes = topicOf(topic)
        if (core.options.conflate && !core.subscriptions.has(bytes)) {
          throw new OptionError({ option: "topic", value: topic, expected: `${oneTopic}: open another socket for it` })
        }
        return Effect.asVoid(
          Effect.acquireRelease(
            whenOpen(core, "subscribe", isNever, () => core.subscriptions.add(bytes)),
            (token) => Effect.ignore(change("unsubscribe", () => core.subscriptions.remove(bytes, token)))
          )
        )
      }),
    unsubscribe: (topic: string | Uint8Array) => change("unsubscribe", () => core.subscriptions.remove(topicOf(topic)))
  }
}
