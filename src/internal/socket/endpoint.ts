/**
 * What can be wrong with an endpoint: found before libzmq sees it, or read from
 * the error that libzmq gave.
 *
 * libzmq wraps port numbers to 16 bits, cuts at a NUL, and accepts many
 * endpoints to connect that it then retries for ever without a word.
 */
import { accessSync, constants, statfsSync, statSync } from "node:fs"
import { isIP, isIPv4, isIPv6 } from "node:net"
import { dirname } from "node:path"
import { getSystemErrorName } from "node:util"
import type { EndpointReason } from "../../ZmqError.ts"
import type { SocketType } from "./options.ts"

export interface EndpointFault {
  readonly reason: EndpointReason
  /** What to do, in one sentence. */
  readonly advice: string
}

type Operation = "bind" | "unbind" | "connect" | "disconnect"

const fault = (reason: EndpointReason, advice: string): EndpointFault => ({ reason, advice })
const invalid = (advice: string): EndpointFault => fault("InvalidEndpoint", advice)

/** Whether an endpoint is a name within its context. */
export const isInproc = (endpoint: string): boolean => endpoint.startsWith("inproc:")

/** What is wrong with an endpoint before libzmq sees it, or undefined. */
export const checkBind = (endpoint: string, type?: SocketType): EndpointFault | undefined =>
  check("bind", endpoint, type)

/** What is wrong with an endpoint before libzmq sees it, or undefined. */
export const checkConnect = (endpoint: string, type?: SocketType): EndpointFault | undefined =>
  check("connect", endpoint, type)

const check = (operation: "bind" | "connect", endpoint: unknown, type?: SocketType): EndpointFault | undefined => {
  if (typeof endpoint !== "string" || endpoint === "") {
    return invalid('Give a string like "tcp://127.0.0.1:5555", "ipc:///tmp/a.sock" or "inproc://a"')
  }
  if (endpoint.includes("\0")) return invalid("Leave out the NUL character: libzmq would cut the endpoint there")
  const parts = parse(endpoint)
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

const parse = (endpoint: string): { readonly transport: string; readonly address: string } | undefined => {
  const end = endpoint.indexOf("://")
  return end <= 0 ? undefined : { transport: endpoint.slice(0, end), address: endpoint.slice(end + 3) }
}

// -----------------------------------------------------------------------------
// tcp
// -----------------------------------------------------------------------------

/** The last colon begins the port, unless it is one of an IPv6 address. */
const splitPort = (address: string): { readonly host: string; readonly port: string | undefined } => {
  const colon = address.lastIndexOf(":")
  return colon < 0 || address.endsWith("]")
    ? { host: address, port: undefined }
    : { host: address.slice(0, colon), port: address.slice(colon + 1) }
}

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

/** The host name in a tcp, ws or udp endpoint to connect that is not a numeric address (needs DNS), or undefined. */
export const hostToResolve = (endpoint: string): string | undefined => {
  const parts = parse(endpoint)
  if (parts?.transport !== "tcp" && parts?.transport !== "ws" && parts?.transport !== "udp") return undefined
  if (check("connect", endpoint, parts.transport === "udp" ? "radio" : undefined) !== undefined) return undefined
  const address = parts.transport === "ws" ? parts.address.replace(/\/.*$/s, "") : parts.address
  const { host } = splitPort(address.slice(address.lastIndexOf(";") + 1))
  return host.startsWith("[") || isIP(host) !== 0 ? undefined : host
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

export const isMulticast = (host: string): boolean => {
  const first = Number(host.split(".")[0])
  return isIPv4(host) && first >= 224 && first < 240
}

/** The parts of a udp endpoint that is well formed. */
export const udpTarget = (endpoint: string): { readonly host: string; readonly port: number } => {
  const { host, port } = splitPort(endpoint.slice(Math.max("udp://".length, endpoint.lastIndexOf(";") + 1)))
  return { host, port: Number(port) }
}

// -----------------------------------------------------------------------------
// ipc, inproc, tipc
// -----------------------------------------------------------------------------

/** `sun_path`, less the NUL at its end. */
const longestPath = process.platform === "darwin" || process.platform.endsWith("bsd") ? 103 : 107

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

const statusOf = (path: string) => {
  try {
    return statSync(path)
  } catch {
    return undefined
  }
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

// -----------------------------------------------------------------------------
// What libzmq found
// -----------------------------------------------------------------------------

const noSuchDevice = (address: string): EndpointFault =>
  fault(
    "AddressNotAvailable",
    address.includes("[") || isIPv6(splitPort(address).host)
      ? "Set the option ipv6 to true to use an IPv6 address, and check that this host has it"
      : 'Bind an address or the name of an interface that this host has, or "*" for all of them'
  )

/** What is wrong, by the error that an engine gave. */
export const faultOf = (operation: Operation, endpoint: string, error: unknown): EndpointFault => {
  const parts = typeof endpoint === "string" ? parse(endpoint) : undefined
  const transport = parts?.transport ?? ""
  const address = parts?.address ?? ""
  const opening = operation === "bind" || operation === "connect"
  switch (codeOf(error)) {
    case "EADDRINUSE":
      return transport === "ipc" && !address.startsWith("@")
        ? fault(
            "AddressInUse",
            "Use another path, unbind this one first, or remove what is there: it could not be replaced"
          )
        : transport === "udp"
          ? fault("AddressInUse", "Use another port, or end what listens there")
          : transport === "tcp" || transport === "ws"
            ? fault("AddressInUse", 'Use another port, or "*" for any free one, or end what listens there')
            : fault("AddressInUse", "Use another name, or unbind the socket that has this one")
    case "EISCONN":
      return fault("AddressInUse", "Unbind the endpoint it has first, or open another socket: a DGRAM has one endpoint")
    case "EADDRNOTAVAIL":
      return fault(
        "AddressNotAvailable",
        operation === "bind"
          ? 'Bind an address that this host has, or "*" for all of them'
          : "Use an address that this host can reach and has"
      )
    case "ENODEV":
      return noSuchDevice(address)
    case "EAFNOSUPPORT":
      return transport === "tipc"
        ? fault("UnsupportedTransport", "Load the kernel module tipc, or use tcp or ipc")
        : fault("AddressNotAvailable", "Use an address of a family that this host supports, such as IPv4")
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return fault(
        "PermissionDenied",
        transport === "ipc"
          ? `Use a folder that this process may write to, or let it write to ${JSON.stringify(folderOf(address))}`
          : "Use a port from 1024 up, or give the process the right to bind this one"
      )
    case "ENOENT":
      if (!opening) {
        return fault(
          "NoSuchEndpoint",
          `Give one that this socket ${operation === "unbind" ? "is bound" : "is connected"} to, as listed in endpoints`
        )
      }
      return transport === "ipc" ? noSuchPath(address) : fault("NoSuchEndpoint", "Bind the endpoint before it is used")
    case "ENOTDIR":
    case "ELOOP":
      return transport === "ipc" ? noSuchPath(address) : unknown(error)
    case "ENOSPC":
    case "EDQUOT":
      return fault(
        "NoSpace",
        transport === "ipc"
          ? `Make room on the disk that has the folder ${JSON.stringify(folderOf(address))}, or use one on another disk`
          : "Close scopes that are done: the system has no room for another socket"
      )
    case "EIO":
    case "ESTALE":
    case "ENXIO":
      return fault(
        "NoSuchPath",
        transport === "ipc"
          ? `Use a folder on another disk: that of ${JSON.stringify(folderOf(address))} does not work`
          : "Check the network of this host: the device of that address does not work"
      )
    case "ECONNREFUSED":
      return fault("NoSuchEndpoint", "Bind the endpoint before connecting to it")
    case "ENAMETOOLONG":
      if (transport === "ipc" && address === "*") return noFolder()
      return diagnose(operation, endpoint) ?? invalidOf(operation, endpoint)
    case "EINVAL":
    case "ERR_INVALID_ARG_TYPE":
      return diagnose(operation, endpoint) ?? invalidOf(operation, endpoint)
    case "EAGAIN":
      if (transport === "ipc" && address === "*") return noFolder()
      // A bad tipc address sets no errno, and the news of a bind that failed, told
      // to those who watch, hides that of a tcp address: another one shows.
      return transport === "tipc"
        ? invalid('Use a TIPC name like "tipc://{5560,0,0}"')
        : operation === "bind" && (transport === "tcp" || transport === "ws")
          ? noSuchDevice(address)
          : unknown(error)
    case "EPROTONOSUPPORT":
      return diagnose(operation, endpoint) ?? fault("UnsupportedTransport", "Use tcp, ipc or inproc")
    case "ENOTSUP":
    case "EOPNOTSUPP":
      return fault(
        "UnsupportedTransport",
        "Leave out the option interface, which this libzmq is built without, or use another transport"
      )
    case "ENOCOMPATPROTO":
      return fault(
        "IncompatibleTransport",
        "Use tcp, ipc or inproc, because this socket type cannot use that transport"
      )
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "ENETDOWN":
      return fault("AddressNotAvailable", "Check the network of this host: there is no route to that address")
    case "ENOTFOUND":
    case "EAI_AGAIN":
    case "EAI_NONAME":
    case "ENODATA": {
      const host = typeof endpoint === "string" ? hostToResolve(endpoint) : undefined
      if (host !== undefined) {
        const name = JSON.stringify(host)
        return fault(
          "HostNotFound",
          `The host name ${name} has no address (${codeOf(error)}). Check the name, or retry until it has one`
        )
      }
      return fault("HostNotFound", "Check the spelling of the host name and the name server, or use a numeric address")
    }
    case "EMFILE":
      return fault("TooManySockets", "Close scopes that are done, or raise the limit of open files of the process")
    case "ENFILE":
      return fault("TooManySockets", "Close scopes that are done, or raise the limit of open files of the system")
    case "ENOMEM":
    case "ENOBUFS":
      return fault("TooManySockets", "Close scopes that are done: the system has no memory for another socket")
    case "EMTHREAD":
      return fault("Unknown", "Use an affinity of 0: the one given has no I/O thread that the context has")
    case "EBADF":
    case "ENOTSOCK":
    case "ETERM":
      return fault("Unknown", "Use the socket inside the scope that opened it")
    case undefined:
      // zeromq.js refuses an address that is no string with a TypeError.
      return error instanceof TypeError ? (diagnose(operation, endpoint) ?? unknown(error)) : unknown(error)
    default:
      return unknown(error)
  }
}

// zeromq.js has no names for some, and gives their number alone.
const codeOf = (error: unknown): string | undefined => {
  if (typeof error !== "object" || error === null) return undefined
  if ("code" in error && typeof error.code === "string" && error.code !== "") return error.code
  return "errno" in error && Number.isInteger(error.errno) && Number(error.errno) > 0
    ? getSystemErrorName(-Number(error.errno))
    : undefined
}

const diagnose = (operation: Operation, endpoint: string): EndpointFault | undefined =>
  check(operation === "bind" || operation === "unbind" ? "bind" : "connect", endpoint)

const invalidOf = (operation: Operation, endpoint: string): EndpointFault =>
  endpoint.startsWith("ws://") && operation === "connect" && hostToResolve(endpoint) !== undefined
    ? fault("HostNotFound", "Check the spelling of the host name and the name server, or use a numeric address")
    : invalid('Use a form like "tcp://127.0.0.1:5555", "ipc:///tmp/a.sock" or "inproc://a"')

const noSuchPath = (path: string): EndpointFault =>
  fault("NoSuchPath", `Make the folder ${JSON.stringify(folderOf(path))} first, on a file system that can hold sockets`)

/** Where the file of a socket is. For "*" libzmq makes a folder in one of these. */
const folderOf = (path: string): string => {
  if (path !== "*") return dirname(path)
  const { TMPDIR, TEMPDIR, TMP } = process.env
  return [TMPDIR, TEMPDIR, TMP].find((folder) => folder && statusOf(folder)?.isDirectory()) ?? process.cwd()
}

// libzmq does not say what was wrong, when it tells those who watch of it as well.
const noFolder = (): EndpointFault => {
  const folder = folderOf("*")
  const named = `${JSON.stringify(folder)}, or give the path of the socket yourself`
  if (Buffer.byteLength(`${folder}/tmpXXXXXX/socket`) > longestPath) {
    return invalid(`Set TMPDIR to a folder with a shorter path than ${named}`)
  }
  try {
    accessSync(folder, constants.W_OK | constants.X_OK)
  } catch {
    return fault("PermissionDenied", `Set TMPDIR to a folder that this process may write to, unlike ${named}`)
  }
  const { bavail, ffree, files } = statfsSync(folder)
  const reason = bavail === 0 || (files > 0 && ffree === 0) ? "NoSpace" : "Unknown"
  return fault(reason, `Set TMPDIR to a folder on a disk with room for the file of a socket, unlike ${named}`)
}

const unknown = (error: unknown): EndpointFault => {
  const said = error instanceof Error ? error.message : String(error)
  return fault("Unknown", `The operating system refused it, and said: ${said}. Try another endpoint, or try again`)
}
