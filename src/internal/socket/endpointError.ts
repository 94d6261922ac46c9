/** What is wrong with an endpoint, read from the error that an engine gave. */
import { accessSync, constants, statfsSync } from "node:fs"
import { isIPv6 } from "node:net"
import { getSystemErrorName } from "node:util"
import { hostToResolve, partsOf, splitPort } from "../endpoint.ts"
import { check } from "./endpointCheck.ts"
import { type EndpointFault, fault, invalid } from "./endpointFault.ts"
import { folderOf, longestPath } from "./ipcPath.ts"

type Operation = "bind" | "unbind" | "connect" | "disconnect"

const noSuchDevice = (address: string): EndpointFault =>
  fault(
    "AddressNotAvailable",
    address.includes("[") || isIPv6(splitPort(address).host)
      ? "Set the option ipv6 to true to use an IPv6 address, and check that this host has it"
      : 'Bind an address or the name of an interface that this host has, or "*" for all of them'
  )

/** What is wrong, by the error that an engine gave. */
export const faultOf = (operation: Operation, endpoint: string, error: unknown): EndpointFault => {
  const parts = typeof endpoint === "string" ? partsOf(endpoint) : undefined
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
      // A bad tipc address sets no errno: another one shows.
      return transport === "tipc" ? invalid('Use a TIPC name like "tipc://{5560,0,0}"') : unknown(error)
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
      const host = hostIn(endpoint)
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

// The host of an endpoint to connect that is well formed.
const hostIn = (endpoint: string): string | undefined => {
  const isUdp = typeof endpoint === "string" && endpoint.startsWith("udp:")
  return check("connect", endpoint, isUdp ? "radio" : undefined) === undefined ? hostToResolve(endpoint) : undefined
}

const diagnose = (operation: Operation, endpoint: string): EndpointFault | undefined =>
  check(operation === "bind" || operation === "unbind" ? "bind" : "connect", endpoint)

const invalidOf = (operation: Operation, endpoint: string): EndpointFault =>
  endpoint.startsWith("ws://") && operation === "connect" && hostIn(endpoint) !== undefined
    ? fault("HostNotFound", "Check the spelling of the host name and the name server, or use a numeric address")
    : invalid('Use a form like "tcp://127.0.0.1:5555", "ipc:///tmp/a.sock" or "inproc://a"')

const noSuchPath = (path: string): EndpointFault =>
  fault("NoSuchPath", `Make the folder ${JSON.stringify(folderOf(path))} first, on a file system that can hold sockets`)

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
