/** How it stands with the connections of a socket. Part of the module `Zmq`. */
import type * as DateTime from "effect/DateTime"

/**
 * How it stands with one endpoint of a socket.
 *
 * **Details**
 *
 * | `state` | what it means |
 * |---|---|
 * | `listening` | bound; `peers` is how many have come in there and are connected |
 * | `connecting` | not connected `since` then; `tries` is how many attempts have failed since, and `lastError` what was seen of the last |
 * | `connected` | the peer is there, handshake and all, `since` then. Over inproc and udp it is so at once |
 * | `refused` | the peer that listens there refuses us, `since` then, for `reason`; `advice` says what to do. It is tried again like any other |
 * | `unknown` | the connection is not watched: see the option `monitor` |
 *
 * libzmq does not say why an attempt failed: mostly nobody listens there, or the
 * network does not lead there. With a `reconnectInterval` of 0 or `"Infinity"` there
 * is no further attempt.
 *
 * `reason` is that of `HandshakeFailed`. `"Authentication"` and `"Protocol"` are
 * refusals at once. A peer that just hangs up (`"Connection"`), as one does that has
 * another CURVE key than we think, or whose socket type does not go with ours, may
 * be about to start or to stop: it refuses us when it has hung up at least 3 times in
 * a row, and for 5 seconds.
 *
 * @category models
 * @since 0.1.0
 */
export type EndpointStatus =
  | {
      readonly endpoint: string
      readonly state: "listening"
      /** `undefined` where libzmq does not tell: over inproc and udp, and where nobody watches. */
      readonly peers: number | undefined
    }
  | {
      readonly endpoint: string
      readonly state: "connecting"
      readonly since: DateTime.Utc
      readonly tries: number
      readonly lastError: string | undefined
    }
  | { readonly endpoint: string; readonly state: "connected"; readonly since: DateTime.Utc }
  | {
      readonly endpoint: string
      readonly state: "refused"
      readonly since: DateTime.Utc
      readonly tries: number
      readonly reason: "Authentication" | "Protocol" | "Connection"
      readonly advice: string
    }
  | { readonly endpoint: string; readonly state: "unknown" }

/**
 * How it stands with the connections of a socket: for a readiness probe, and for a
 * person. Times are of the Effect `Clock`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Status {
  /** What is bound, and then what is connected to, in the order of `endpoints`. */
  readonly endpoints: ReadonlyArray<EndpointStatus>
  /** How many peers are connected, as `awaitPeers` counts. `undefined` where that is not known. */
  readonly peers: number | undefined
}
