import type { FromClientEncoded } from "effect/rpc/RpcMessage"

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

const isId = (value: unknown): boolean => typeof value === "string" || typeof value === "number"

const isPair = (value: unknown): boolean =>
  Array.isArray(value) && value.length === 2 && value.every((one) => typeof one === "string")

/** What is wrong with a value as a message of a client, or undefined. What it asks for is for the server of RPC to check. */
export const faultOf = (value: unknown): string | undefined => {
  if (!isObject(value)) return "a value is no message of RPC"
  switch (value._tag) {
    case "Request":
      if (typeof value.tag !== "string") return "a call names no procedure"
      if (value.isNotification !== true && !isId(value.id)) return "a call has no id"
      return Array.isArray(value.headers) && value.headers.every(isPair) ? undefined : "a call has no list of headers"
    case "Ack":
    case "Interrupt":
      return isId(value.requestId) ? undefined : `the id is missing in: ${value._tag}`
    case "Ping":
    case "Eof":
      return undefined
    default:
      return "a value is no message of RPC"
  }
}

/** To be called only where `faultOf` finds nothing. */
export const messageOf = (value: unknown): FromClientEncoded => value as FromClientEncoded
