/**
 * What can be wrong with an endpoint, found before libzmq sees it.
 *
 * libzmq wraps port numbers to 16 bits, cuts at a NUL, and accepts many
 * endpoints to connect that it then retries for ever without a word.
 */
import { isIPv4, isIPv6 } from "node:net"
import { isMulticast, partsOf, splitPort } from "../endpoint.ts"
import type { SocketType } from "../socketTypes.ts"
import { type EndpointFault, fault, invalid } from "./endpointFault.ts"
import { longestPath, statusOf } from "./ipcPath.ts"

/** What is wrong with an endpoint before libzmq sees it, or undefined. */
export const checkBind = (endpoint: string, type?: SocketType): EndpointFault | undefined =>
  check("bind", endpoint, type)

/** What is wrong with an endpoint before libzmq sees it, or undefined. */
export const checkConnect = (endpoint: string, type?: SocketType): EndpointFault | undefined =>
  check("connect", endpoint, type)

/** The same, of whatever is said to be one. */
export const check = (
  operation: "bind" | "connect",
  endpoint: unknown,
  type?: SocketType
): EndpointFault | undefined => {
  if (typeof endpoint !== "string" || endpoint === "") {
    return invalid('Give a string like "tcp://127.0.0.1:5555", "ipc:///tmp/a.sock" or "inproc://a"')
  }
  if (endpoint.includes("\0")) return invalid("Leave out the NUL character: libzmq would cut the endpoint there")
  const parts = partsOf(endpoint)
  if (parts === undefined) return invalid(`Start with a transport, like "tcp://${endpoint}"`)
  const { address, transport } = parts
  if (type === "datagram" && transport !== "udp") {
    return fault("UnsupportedTransport", 'Use udp, like "udp://127.0.0.1:5555": a DGRAM has no other transport')
  }
  // Over inproc libzmq aborts at a message of two frames, and over ws nothing comes.
  if (type === "rawStream" && (transport === "inproc" || transport === "ws")) {
    return fault("UnsupportedTransport", "Use tcp or ipc: a STREAM has the bytes of a connection, and no messages")
  }
  switch (transport) {
    case "tcp":
      return checkTcp(operation, address)
    case "ws":
      return checkWs(operation, address)
    case "ipc":
      return checkIpc(operation, address)
    case "inproc":
      return checkInproc(address)
    case "tipc":
      return checkTipc(operation, address)
    case "udp":
      return checkUdp(operation, address, type)
    default:
      return transport.toLowerCase() !== transport && known.has(transport.toLowerCase())
        ? fault("UnsupportedTransport", `Write the transport in lower case: ${transport.toLowerCase()}`)
        : transport === "wss"
          ? fault("UnsupportedTransport", "Use ws, and CURVE for its security: this libzmq is built without TLS")
          : fault("UnsupportedTransport", "Use tcp, ipc, inproc or ws: this libzmq has no other transport of that name")
  }
}

const known = new Set(["tcp", "ws", "ipc", "inproc", "tipc", "udp"])

// -----------------------------------------------------------------------------
// tcp
// -----------------------------------------------------------------------------

const checkTcp = (operation: "bind" | "connect", address: string): EndpointFault | undefined => {
  const semicolon = address.lastIndexOf(";")
  if (semicolon >= 0) {
    if (operation === "bind") return invalid('Leave out what is before the ";": only connect takes a source address')
    const source = splitPort(address.slice(0, semicolon))
    // libzmq takes a source without a port, and then never connects.
    if (source.port === undefined || (source.port !== "*" && !isPort(source.port, 0))) {
      return invalid('Give the source address a port from 0 to 65535, like "tcp://eth0:0;192.168.1.1:5555"')
    }
    if (source.host === "*" || !isHost(source.host, "bind")) {
      return invalid(
        'Begin with the interface or numeric address to connect from, like "tcp://eth0:0;192.168.1.1:5555"'
      )
    }
  }
  const { host, port } = splitPort(address.slice(semicolon + 1))
  if (port === undefined || port === "") {
    return invalid(
      operation === "bind"
        ? 'Add a port from 1 to 65535, or "*" for any free one, like "tcp://127.0.0.1:*"'
        : 'Add the port of the peer, like "tcp://127.0.0.1:5555"'
    )
  }
  if (operation === "bind") {
    if (port !== "*" && !isPort(port, 0)) return invalid('Use a port from 1 to 65535, or "*" for any free one')
  } else if (!isPort(port, 1)) {
    return invalid("Use the port that the peer is bound to, from 1 to 65535")
  }
  if (host === "*" && operation === "connect") {
    return invalid('Name the host to connect to, like "127.0.0.1": "*" is for bind')
  }
  if (!isHost(host, operation)) {
    return invalid(
      operation === "bind"
        ? 'Name an address or an interface of this host, like "127.0.0.1", "[::1]" or "eth0", or "*" for all'
        : 'Name the host to connect to by its name or address, like "example.org", "127.0.0.1" or "[::1]"'
    )
  }
  return undefined
}

const isPort = (port: string, least: number): boolean =>
  /^\d{1,6}$/.test(port) && Number(port) >= least && Number(port) <= 65_535

const isHost = (host: string, operation: "bind" | "connect"): boolean => {
  if (host === "*") return operation === "bind"
  const bracketed = /^\[(.*)\]$/.exec(host)?.[1]
  if (bracketed !== undefined) return isIPv6(bracketed)
  if (isIPv6(host)) return true
  if (/^\d+(\.\d+){3}$/.test(host)) return isIPv4(host)
  // Interface names can be nearly anything, like "eth0:1" or "br-lan@2";
  // libzmq itself allows fewer characters in a name to connect to.
  return operation === "bind" ? /^[^\s/;*:[\]]+(:[^\s/;*:[\]]+)?$/.test(host) : /^[A-Za-z0-9][\w.-]*$/.test(host)
}

// -----------------------------------------------------------------------------
// ws
// -----------------------------------------------------------------------------

// Beyond some 1,000 bytes zeromq.js cannot be told where it is bound, and beyond
// 4,000 a handshake does not fit in libzmq's buffer.
const longestWsPath = 512

const checkWs = (operation: "bind" | "connect", address: string): EndpointFault | undefined => {
  const slash = address.indexOf("/")
  const host = slash < 0 ? address : address.slice(0, slash)
  const path = slash < 0 ? "/" : address.slice(slash)
  if (host.includes(";")) return invalid('Leave out what is before the ";": over ws there is no source address')
  const wrong = checkTcp(operation, host)
  if (wrong !== undefined) return wrong
  // It goes into the first line of an HTTP request as it is.
  if (!/^[\x21-\x7e]*$/.test(path)) return invalid("Write the path with printable ASCII characters, and others as %20")
  if (path.length > longestWsPath) return invalid(`Use a shorter path, of at most ${longestWsPath} characters`)
  // libzmq takes all but the last part for the port.
  return operation === "bind" && path.includes("/", 1)
    ? invalid('Use a path of one part, like "ws://127.0.0.1:5555/a"')
    : undefined
}

// -----------------------------------------------------------------------------
// udp
// -----------------------------------------------------------------------------

const checkUdp = (
  operation: "bind" | "connect",
  address: string,
  type: SocketType | undefined
): EndpointFault | undefined => {
  if (type !== "radio" && type !== "dish" && type !== "datagram") {
    return fault("UnsupportedTransport", "Use tcp, because udp is for RADIO, DISH and DGRAM sockets only")
  }
  if (operation !== (type === "radio" ? "connect" : "bind")) {
    return fault(
      "IncompatibleTransport",
      type === "radio"
        ? "Connect a RADIO to udp: it is its DISH that binds"
        : "Bind to udp: what connects to it is a RADIO, and a DGRAM names an address with each message"
    )
  }
  const target = address.slice(address.lastIndexOf(";") + 1)
  const { host, port } = splitPort(target)
  // libzmq would not tell which port it took.
  if (port === undefined || !isPort(port, 1)) {
    return invalid('Add a port from 1 to 65535, like "udp://127.0.0.1:5555"')
  }
  // libzmq aborts when a DGRAM hears from an IPv6 address.
  if (host.includes(":")) return invalid("Use an IPv4 address: udp is for IPv4 only")
  if (host === "*" ? operation === "connect" : !isHost(host, operation)) {
    return invalid(
      operation === "bind"
        ? 'Name an IPv4 address or an interface of this host, or a multicast group, or "*" for all addresses'
        : 'Name the host to send to by its name or IPv4 address, like "127.0.0.1", or a multicast group'
    )
  }
  if (target === address) return undefined
  const nic = address.slice(0, address.lastIndexOf(";"))
  if (!isMulticast(host)) return invalid('Leave out what is before the ";", which is for multicast groups only')
  return nic !== "*" && (nic.includes(":") || !isHost(nic, "bind"))
    ? invalid('Begin with an interface or its IPv4 address, like "udp://eth0;239.0.0.1:5555"')
    : undefined
}

// -----------------------------------------------------------------------------
// ipc, inproc, tipc
// -----------------------------------------------------------------------------

const checkIpc = (operation: "bind" | "connect", path: string): EndpointFault | undefined => {
  if (path === "") return invalid('Add the path of the socket, like "ipc:///tmp/a.sock"')
  if (path.startsWith("*")) {
    if (operation === "connect") return invalid('Give the path that the peer is bound to: "*" is for bind')
    // libzmq looks at the first character only.
    return path === "*" ? undefined : invalid('Write "ipc://*" for a path of libzmq\'s choice, or begin with "./"')
  }
  if (path === "@") return invalid('Add a name after the "@", like "ipc://@a"')
  if (path.startsWith("@") && process.platform !== "linux") {
    return invalid('Use a path, like "ipc:///tmp/a.sock": names that begin with "@" are for Linux')
  }
  if (Buffer.byteLength(path) > longestPath) {
    return invalid(
      `Use a shorter path: this system takes ${longestPath} bytes, and this one has ${Buffer.byteLength(path)}`
    )
  }
  if (operation === "bind" && !path.startsWith("@")) {
    // libzmq deletes whatever file is there before it binds (measured).
    const there = statusOf(path)
    if (there?.isDirectory()) return fault("AddressInUse", "Use the path of a file, because this one is a folder")
    if (there !== undefined && !there.isSocket()) {
      return fault("AddressInUse", "Use another path or remove the file there, which is no socket and would be deleted")
    }
  }
  return undefined
}

const checkInproc = (name: string): EndpointFault | undefined => {
  if (name === "") return invalid('Add a name, like "inproc://a"')
  return Buffer.byteLength(name) > 256 ? invalid("Use a name of at most 256 bytes") : undefined
}

/** libzmq reports a bad tipc address with whatever errno was there before. */
const checkTipc = (operation: "bind" | "connect", address: string): EndpointFault | undefined =>
  /^\{\d+,\d+(,\d+)?\}(@\d+\.\d+\.\d+)?$/.test(address) ||
  /^<\d+\.\d+\.\d+:\d+>$/.test(address) ||
  (address === "<*>" && operation === "bind")
    ? undefined
    : invalid(
        operation === "bind"
          ? 'Use a TIPC name like "tipc://{5560,0,0}", or "tipc://<*>"'
          : 'Use a TIPC name like "tipc://{5560,0}"'
      )
