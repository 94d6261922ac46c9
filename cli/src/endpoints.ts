/** Which of the arguments are endpoints. */
import * as Effect from "effect/Effect"
import { Usage } from "./failure.ts"

export interface Endpoints {
  readonly bind: ReadonlyArray<string>
  readonly connect: ReadonlyArray<string>
}

/** As `tcp://…`; with `@` before it to bind and `>` to connect, as CZMQ writes them. */
const endpoint = /^[@>]?(tcp|ipc|inproc|ws|wss|udp|tipc|vmci|e?pgm|norm):\/\//

/**
 * The endpoints of a command: those of `--bind` and `--connect`, and the first arguments as
 * long as they are endpoints. The other arguments are the rest.
 */
export const splitWords = (
  command: string,
  given: Endpoints & { readonly words: ReadonlyArray<string> }
): Effect.Effect<Endpoints & { readonly rest: ReadonlyArray<string> }, Usage> => {
  const first = given.words.findIndex((word) => !endpoint.test(word))
  const named = first < 0 ? given.words : given.words.slice(0, first)
  const rest = first < 0 ? [] : given.words.slice(first)
  const bind = [...given.bind, ...named.filter((word) => word.startsWith("@")).map((word) => word.slice(1))]
  const connect = [
    ...given.connect,
    ...named.filter((word) => !word.startsWith("@")).map((word) => word.replace(/^>/, ""))
  ]
  if (bind.length > 0 || connect.length > 0) return Effect.succeed({ bind, connect, rest })
  const near = rest[0] === undefined ? "" : `${JSON.stringify(rest[0])} is no endpoint. `
  return Effect.fail(
    new Usage({
      message: `${near}Name an endpoint to connect to, like ezmq ${command} tcp://127.0.0.1:5555, or one to --bind`
    })
  )
}
