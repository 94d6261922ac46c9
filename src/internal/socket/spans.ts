import * as Effect from "effect/Effect"

const kinds = { process: "consumer", respond: "server", request: "client" } as const

// Only where it is asked for: a span for each message costs more than the message.
export const inSpan = <Args extends Array<unknown>, A, E, R>(
  name: string | undefined,
  operation: keyof typeof kinds,
  handler: (...args: Args) => Effect.Effect<A, E, R>
) => {
  if (name === undefined) return handler
  const options = {
    kind: kinds[operation],
    attributes: { "messaging.system": "zeromq", "messaging.operation.name": operation }
  } as const
  return (...args: Args) => Effect.withSpan(handler(...args), name, options)
}
