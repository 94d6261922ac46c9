/** What an endpoint is made of: a transport, and an address that it understands. */
import { isIP, isIPv4 } from "node:net"

/** Whether an endpoint is a name within its context. */
export const isInproc = (endpoint: string): boolean => endpoint.startsWith("inproc:")

/** The parts of an endpoint, or undefined if it has no transport. */
export const partsOf = (endpoint: string): { readonly transport: string; readonly address: string } | undefined => {
  const end = endpoint.indexOf("://")
  return end <= 0 ? undefined : { transport: endpoint.slice(0, end), address: endpoint.slice(end + 3) }
}

/** The last colon begins the port, unless it is one of an IPv6 address. */
export const splitPort = (address: string): { readonly host: string; readonly port: string | undefined } => {
  const colon = address.lastIndexOf(":")
  return colon < 0 || address.endsWith("]")
    ? { host: address, port: undefined }
    : { host: address.slice(0, colon), port: address.slice(colon + 1) }
}

/** The host in a well-formed tcp, ws or udp endpoint to connect that is not a numeric address (needs DNS), or undefined. */
export const hostToResolve = (endpoint: string): string | undefined => {
  const parts = partsOf(endpoint)
  if (parts?.transport !== "tcp" && parts?.transport !== "ws" && parts?.transport !== "udp") return undefined
  const address = parts.transport === "ws" ? parts.address.replace(/\/.*$/s, "") : parts.address
  const { host } = splitPort(address.slice(address.lastIndexOf(";") + 1))
  return host.startsWith("[") || isIP(host) !== 0 ? undefined : host
}

export const isMulticast = (host: string): boolean => {
  const first = Number(host.split(".")[0])
  return isIPv4(host) && first >= 224 && first < 240
}

/** The parts of a udp endpoint that is well formed. */
export const udpTarget = (endpoint: string): { readonly host: string; readonly port: number } => {
  const { host, port } = splitPort(endpoint.slice(Math.max("udp://".length, endpoint.lastIndexOf(";") + 1)))
  return { host, port: Number(port) }
}
