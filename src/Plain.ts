/**
 * The PLAIN mechanism (ZeroMQ RFC 24): the client sends a name and a password,
 * and the ZAP handler of the server says whether it may come in. Nothing is
 * encrypted, the password neither: use it on networks that you trust, or use
 * CURVE.
 *
 * @since 0.1.0
 */
import type * as Redacted from "effect/Redacted"

/**
 * What `Plain.server` makes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Server {
  readonly _tag: "PlainServer"
  readonly domain: string
}

/**
 * What `Plain.client` makes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Client {
  readonly _tag: "PlainClient"
  readonly username: string
  readonly password: Redacted.Redacted<string>
}

/**
 * Asks each client for a name and a password, and the ZAP handler about both,
 * with this domain, of 1 to 255 bytes. For the option `security`.
 *
 * **Details**
 *
 * libzmq itself knows no names and no passwords. If the context has no ZAP
 * handler, nobody gets in, whatever they send, and the server sees their
 * handshakes fail. Peers that use another mechanism, or none, never get in. The
 * endpoints of `inproc://` are not secured, by any mechanism: a peer in the same
 * process gets in.
 *
 * **Example** (A server that asks for a password)
 *
 * ```ts
 * import { Plain, Zmq } from "effect-zmq"
 *
 * export const jobs = Zmq.pull({
 *   bind: "tcp://127.0.0.1:5557",
 *   security: Plain.server({ domain: "jobs" })
 * })
 * ```
 *
 * @category security
 * @since 0.1.0
 */
export const server = (options: { readonly domain: string }): Server => ({ ...options, _tag: "PlainServer" })

/**
 * Sends a name and a password, of 1 to 255 bytes each, to the server. For the
 * option `security`.
 *
 * **Details**
 *
 * The server is not checked: whoever listens at the endpoint and speaks PLAIN
 * gets the password. One that speaks CURVE or no mechanism does not.
 *
 * **Example** (A client with a password from the configuration)
 *
 * ```ts
 * import { Config, Effect } from "effect"
 * import { Plain, Zmq } from "effect-zmq"
 *
 * export const jobs = Effect.gen(function* () {
 *   const password = yield* Config.Redacted("JOBS_PASSWORD")
 *   return yield* Zmq.push({
 *     connect: "tcp://127.0.0.1:5557",
 *     security: Plain.client({ username: "admin", password })
 *   })
 * })
 * ```
 *
 * @category security
 * @since 0.1.0
 */
export const client = (options: {
  readonly username: string
  readonly password: Redacted.Redacted<string>
}): Client => ({ ...options, _tag: "PlainClient" })
