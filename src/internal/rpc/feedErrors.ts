import * as Data from "effect/Data"

/**
 * A subscriber has missed values of a published RPC.
 *
 * **Details**
 *
 * - `Dropped`: `count` values were dropped on the way: by PUB, for a subscriber that is further behind than its
 *   high-water mark, or with a connection that was lost.
 * - `Restarted`: the stream runs anew, as that of a publisher that has come back: what it said in between is not known.
 * - `TooLarge`: a value has more bytes than the `maxMessageSize` here, and was not sent. Others got it.
 *
 * @category errors
 * @since 0.1.0
 */
export class Missed extends Data.TaggedError("Missed")<{
  /** The tag of the RPC. */
  readonly rpc: string
  readonly reason: "Dropped" | "Restarted" | "TooLarge"
  /** How many values, where that is known. */
  readonly count: number | undefined
  /** How many bytes the value has that is too large. */
  readonly bytes?: number | undefined
}> {
  override get message(): string {
    return `subscribe ${this.rpc}: ${told(this)}, or go on with onMissed`
  }
}

const told = ({ bytes, count, reason }: Missed): string => {
  switch (reason) {
    case "Dropped":
      return `${count} values were dropped on their way. Read faster, raise the sendHighWaterMark of the publisher and the receiveHighWaterMark here`
    case "Restarted":
      return "the stream runs anew, and what was published in between is not known. Subscribe again"
    case "TooLarge":
      return `a value has ${bytes} bytes, and was not sent. Raise maxMessageSize here`
  }
}

/**
 * A published RPC cannot be had.
 *
 * **Details**
 *
 * - `TooManyTopics`: the publisher runs as many streams as its `maxTopics` allows, or the stream has subscribers of 16
 *   other `maxMessageSize`.
 * - `InvalidPayload`: the publisher cannot decode the payload: it has another definition of the RPC.
 * - `PayloadTooLong`: encoded it has more than 512 bytes, with the tag of the RPC.
 * - `Undecodable`: what the publisher sends cannot be decoded: another definition, or another serialization.
 * - `Gone`: the publisher has gone, and `whileDisconnected` is `"fail"`.
 * - `EndTooLarge`: the stream has ended, and what it ended with has more bytes than the `maxMessageSize` here.
 *
 * @category errors
 * @since 0.1.0
 */
export class PublisherError extends Data.TaggedError("PublisherError")<{
  /** The tag of the RPC. */
  readonly rpc: string
  readonly reason: "TooManyTopics" | "InvalidPayload" | "PayloadTooLong" | "Undecodable" | "Gone" | "EndTooLarge"
  readonly cause?: unknown
}> {
  override get message(): string {
    return `subscribe ${this.rpc}: ${advice[this.reason]}`
  }
}

const advice: { readonly [Reason in PublisherError["reason"]]: string } = {
  TooManyTopics:
    "the publisher runs as many streams as it may: raise its maxTopics, or use fewer different maxMessageSize",
  InvalidPayload: "the publisher does not understand the payload: use the same definition of the RPC",
  PayloadTooLong: "the payload is the topic, and has more than 512 bytes with the tag: use a shorter one",
  Undecodable: "what came cannot be decoded: use the same definition of the RPC, and the same serialization",
  Gone: "the publisher has gone",
  EndTooLarge: "the stream has ended, and what it ended with was not sent: raise maxMessageSize here"
}
