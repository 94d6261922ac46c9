/** Options of RPC, checked as those of sockets are. */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { OptionError } from "../../ZmqError.ts"
import { checkConnect } from "../socket/endpointCheck.ts"
import { attempt } from "../socket/open.ts"
import { prepare } from "../socket/options.ts"

// What a message may have, unless it is said: as the parsers of effect take.
export const defaultMessageSize = 16 * 1024 * 1024

const isOptionError = (error: unknown): error is OptionError => error instanceof OptionError

/** Runs what throws OptionError. Anything else that it throws is a defect. */
export const checked = <A>(run: () => A): Effect.Effect<A, OptionError> => attempt(isOptionError, run)

const refuse = (option: string, value: unknown, expected: string): never => {
  throw new OptionError({ option, value, expected })
}

export const countOf = (option: string, given: unknown, fallback: number): number => {
  if (given === undefined) return fallback
  if (Number.isSafeInteger(given) && (given as number) >= 1) return given as number
  return refuse(option, given, "a whole number of 1 or more")
}

/** Milliseconds, `Infinity` where that is given. */
export const millisOf = (option: string, given: Duration.Input | undefined, fallback: number): number => {
  if (given === undefined) return fallback
  const millis = Option.getOrUndefined(Option.map(Duration.fromInput(given), Duration.toMillis))
  if (millis !== undefined && millis > 0) return millis
  return refuse(option, given, 'a Duration.Input of more than 0, like "5 seconds" or 5000, or "Infinity"')
}

export const oneOf = <const A extends string>(option: string, given: unknown, values: readonly [A, ...Array<A>]): A => {
  if (given === undefined) return values[0]
  return values.find((value) => value === given) ?? refuse(option, given, values.map((v) => `"${v}"`).join(" or "))
}

export const listOf = (given: string | ReadonlyArray<string> | undefined): ReadonlyArray<string> =>
  given === undefined ? [] : typeof given === "string" ? [given] : given

/** Throws OptionError where a socket could not be made of these. */
export const check = (type: "dealer" | "router", options: object): void => {
  const { connect } = prepare(type, options)
  for (const endpoint of connect) {
    const fault = checkConnect(endpoint, type)
    if (fault !== undefined) refuse("connect", endpoint, `an endpoint to connect to. ${fault.advice}`)
  }
}

/** Throws OptionError for what RPC does by itself. */
export const without = (options: object, names: ReadonlyArray<string>): void => {
  for (const name of names) {
    const value = (options as Readonly<Record<string, unknown>>)[name]
    if (value !== undefined) refuse(name, value, `no ${name}: RPC needs it as it is. Leave it out`)
  }
}
