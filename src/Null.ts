/**
 * The NULL mechanism: no password, no keys, no encryption. It is what a socket
 * uses without the option `security`, and then everybody gets in. With a domain
 * the ZAP handler is asked about each peer, which it can tell by its address.
 *
 * @since 0.1.0
 */

/**
 * What `Null.server` makes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Server {
  readonly _tag: "NullServer"
  readonly domain: string
}

/**
 * Has the ZAP handler asked about every peer, with this domain, of 1 to 255
 * bytes. For the option `security`. The peers need no option of their own.
 *
 * **Details**
 *
 * If the context has no ZAP handler, nobody gets in (`zapEnforceDomain`). The
 * endpoints of `inproc://` are not secured, by any mechanism: a peer in the same
 * process gets in.
 *
 * **Example** (Peers that the ZAP handler knows by address)
 *
 * ```ts
 * import { Null, Zmq } from "effect-zmq"
 *
 * export const jobs = Zmq.pull({
 *   bind: "tcp://127.0.0.1:5557",
 *   security: Null.server({ domain: "jobs" })
 * })
 * ```
 *
 * @category security
 * @since 0.1.0
 */
export const server = (options: { readonly domain: string }): Server => ({ ...options, _tag: "NullServer" })
