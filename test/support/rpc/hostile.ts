/** What a client may send that it should not. */
import type { RpcSerialization } from "effect/rpc"
import type { Zmq } from "effect-zmq"

export interface Hostile {
  readonly name: string
  /** What it sends, in turn. */
  readonly messages: ReadonlyArray<Zmq.Outgoing>
  /** Whether it is ended for that, or may go on. */
  readonly ends: boolean
}

const request = { _tag: "Request", id: "1", tag: "get", payload: { id: 1 }, headers: [] }
const long = { ...request, tag: "forever", payload: { name: "hostile" } }

const bytesOf = (value: Uint8Array | string | undefined): Buffer => Buffer.from(value as string)

/** For any serialization: what it writes itself, cut, repeated and out of turn. */
const ofAll = (serialization: RpcSerialization.RpcSerialization["Service"], limit: number): ReadonlyArray<Hostile> => {
  const write = (value: unknown) => bytesOf(serialization.makeUnsafe().encode(value))
  const ping = write({ _tag: "Ping" })
  return [
    { name: "a value cut off", messages: [ping.subarray(0, -1)], ends: true },
    { name: "a value cut off, and the rest of it", messages: [ping.subarray(0, -2), ping.subarray(-2)], ends: true },
    { name: "a whole value and a piece of one", messages: [Buffer.concat([ping, ping.subarray(0, 3)])], ends: true },
    { name: "random bytes", messages: [Buffer.from("9f83b1aa00ffee7712c4", "hex")], ends: true },
    { name: "bytes that are no text", messages: [Buffer.from([0xff, 0xfe, 0xfd, 0x0a])], ends: true },
    { name: "too much", messages: [Buffer.alloc(limit + 1, 0x20)], ends: true },
    { name: "a response", messages: [write({ _tag: "Pong" })], ends: true },
    { name: "an empty message", messages: [""], ends: false },
    { name: "a word that means nothing", messages: ["\0Z", "\0", "\0W", "\0S", "\0R1 x", "\0K"], ends: false },
    { name: "a hello that says nothing", messages: ["\0H", "\0H-1 x", `\0H${"9".repeat(50)} x`], ends: false },
    { name: "another serialization", messages: ["\0H1000 text/plain"], ends: true },
    {
      name: "an address as long as a forwarder's",
      messages: [[...Array(12).fill("hop"), ping] as [Buffer]],
      ends: false
    }
  ]
}

/** For JSON with values on lines: values that are no messages, and messages against the rules. */
const ofLines = (values: ReadonlyArray<unknown>): Buffer =>
  Buffer.from(values.map((value) => `${typeof value === "string" ? value : JSON.stringify(value)}\n`).join(""))

const rules: ReadonlyArray<Hostile> = [
  { name: "the same id twice", messages: [ofLines([long]), ofLines([long])], ends: true },
  {
    name: "a call after Eof",
    messages: [ofLines([long]), ofLines([{ _tag: "Eof" }]), ofLines([{ ...long, id: "2" }])],
    ends: true
  },
  { name: "null", messages: [ofLines([null])], ends: true },
  { name: "a number", messages: [ofLines([5])], ends: true },
  { name: "a list", messages: [ofLines([[request]])], ends: true },
  { name: "an object without a tag", messages: [ofLines([{}])], ends: true },
  { name: "an unknown tag", messages: [ofLines([{ ...request, _tag: "Requests" }])], ends: true },
  { name: "a tag that is no text", messages: [ofLines([{ ...request, _tag: { a: 1 } }])], ends: true },
  { name: "a call without an id", messages: [ofLines([{ ...request, id: undefined }])], ends: true },
  { name: "an id that is an object", messages: [ofLines([{ ...request, id: { a: 1 } }])], ends: true },
  { name: "no procedure", messages: [ofLines([{ ...request, tag: undefined }])], ends: true },
  { name: "headers that are none", messages: [ofLines([{ ...request, headers: { a: "b" } }])], ends: true },
  { name: "a header that is no pair", messages: [ofLines([{ ...request, headers: [["a", 1]] }])], ends: true },
  { name: "an Ack of nothing", messages: [ofLines([{ _tag: "Ack" }])], ends: true },
  { name: "a good value and a bad one", messages: [ofLines([request, "{"])], ends: true },
  { name: "an Ack for no stream", messages: [ofLines([{ _tag: "Ack", requestId: "77" }])], ends: false },
  { name: "an interruption of no call", messages: [ofLines([{ _tag: "Interrupt", requestId: "77" }])], ends: false },
  { name: "an unknown procedure", messages: [ofLines([{ ...request, tag: "__proto__" }])], ends: false },
  { name: "a payload of another type", messages: [ofLines([{ ...request, payload: [] }])], ends: false },
  { name: "keys of a prototype", messages: [ofLines([`{"_tag":"Ping","__proto__":{"_tag":"Request"}}`])], ends: false }
]

export const hostileOf = (
  serialization: RpcSerialization.RpcSerialization["Service"],
  limit: number
): ReadonlyArray<Hostile> => [
  ...ofAll(serialization, limit),
  ...(serialization.contentType === "application/x-ndjson" ? rules : [])
]
