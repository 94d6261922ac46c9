/** The engine that the tests run on, which `useEngine.ts` sets, and what is right on it. */
export const engineName = process.env.ENGINE === "zmtp" ? "zmtp" : "zeromq"

/**
 * For `skipIf`: whether tests are of the engine on zeromq.js alone, and it is another.
 * The reason says what they ask that no other engine has.
 */
export const ofBinding = (_reason: string): boolean => engineName !== "zeromq"

/** What is right on each engine, where that differs. */
export const byEngine = <A>(values: { readonly zeromq: A; readonly zmtp: A }): A => values[engineName]

const ofLibzmq = new Set(["ws", "server", "client", "peer", "channel", "radio", "dish", "scatter", "gather", "dgram"])

/** For `skipIf`: whether the engine has no such transport, or type of socket. */
export const lacks = (...what: ReadonlyArray<string>): boolean =>
  engineName !== "zeromq" && what.some((name) => ofLibzmq.has(name.toLowerCase()))
