import * as Duration from "effect/Duration"
import { SocketEvent } from "../../SocketEvent.ts"
import type { ConnectionEvent } from "./raw.ts"

/** What zeromq.js tells of a connection, in our terms; undefined for what nobody needs to know. */
export const eventOf = ({
  type,
  address: endpoint = "",
  interval = 0,
  error: given
}: ConnectionEvent): SocketEvent | undefined => {
  const error = given ?? new Error(type)
  const refusal = (reason: "Authentication" | "Protocol" | "Connection") =>
    SocketEvent.HandshakeFailed({ endpoint, reason, code: given?.code, status: given?.status, error })
  switch (type) {
    case "bind":
      return SocketEvent.Listening({ endpoint })
    case "bind:error":
      return SocketEvent.BindFailed({ endpoint, error })
    case "accept":
      return SocketEvent.Accepted({ endpoint })
    case "accept:error":
      return SocketEvent.AcceptFailed({ endpoint, error })
    case "connect":
      return SocketEvent.Connected({ endpoint })
    case "connect:delay":
      return SocketEvent.ConnectDelayed({ endpoint })
    case "connect:retry":
      return SocketEvent.ConnectRetried({ endpoint, interval: Duration.millis(interval) })
    case "handshake":
      return SocketEvent.HandshakeSucceeded({ endpoint })
    case "handshake:error:protocol":
      return refusal("Protocol")
    case "handshake:error:auth":
      return refusal("Authentication")
    case "handshake:error:other":
      return refusal("Connection")
    case "disconnect":
      return SocketEvent.Disconnected({ endpoint })
    case "close":
      return SocketEvent.Closed({ endpoint })
    case "close:error":
      return SocketEvent.CloseFailed({ endpoint, error })
  }
  return undefined
}
