import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"

/**
 * Where a socket is bound, as an address of Effect: of tcp and ws a host and a port, of
 * ipc a path. What is neither, as a name of inproc is, stands as a path, whole.
 */
export const addressOf = (endpoint: string): NetAddress.SocketAddress => {
  const [, host, port] = /^(?:tcp|ws):\/\/\[?([^\]/]*?)\]?:(\d+)(?:\/.*)?$/.exec(endpoint) ?? []
  const inet = host === undefined ? undefined : NetAddress.inetAddressFromIpString(host, Number(port))
  if (inet !== undefined && Result.isSuccess(inet)) return inet.success
  return NetAddress.unixPathAddress(endpoint.startsWith("ipc://") ? endpoint.slice("ipc://".length) : endpoint)
}
