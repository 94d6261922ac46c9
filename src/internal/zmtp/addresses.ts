/** Endpoints, as node:net has them. */
import { lookup } from "node:dns"
import { existsSync, mkdtempSync } from "node:fs"
import type { ListenOptions, TcpNetConnectOpts } from "node:net"
import { type AddressInfo, connect, isIP, isIPv6 } from "node:net"
import { networkInterfaces, tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { partsOf, splitPort } from "../endpoint.ts"
import type { GiveUp } from "../engine.ts"

export const transportOf = (endpoint: string): string => partsOf(endpoint)?.transport ?? ""
const addressOf = (endpoint: string): string => partsOf(endpoint)?.address ?? ""

/** An error as those of the system, by its code. */
export const errorOf = (code: string, message: string): Error => Object.assign(new Error(message), { code })

/** Without the brackets of IPv6. */
const split = (address: string): { readonly host: string; readonly port: string } => {
  const { host, port = "" } = splitPort(address)
  return { host: host.replace(/^\[(.*)\]$/, "$1"), port }
}

/** The address of an interface by its name, or the host itself if it is none. */
const numeric = (host: string, ipv6: boolean): string => {
  if (isIP(host.replace(/%.*$/, "")) !== 0) return host
  const addresses = networkInterfaces()[host]
  if (addresses === undefined) throw errorOf("ENODEV", `no interface ${host}`)
  const found = addresses.find(({ family }) => family === "IPv4") ?? (ipv6 ? addresses[0] : undefined)
  if (found === undefined) throw errorOf("ENODEV", `no address of ${host}`)
  return found.address
}

const hostPort = (host: string, port: number): string => (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`)

export interface BindTo {
  readonly listen: ListenOptions
  /** The endpoint, when it is known what the system made of it. */
  readonly resolved: (address: AddressInfo | string | null) => string
  /** The file that this makes, and where to look who has it. */
  readonly path: string | undefined
  /** The folder that was made for it. */
  readonly folder?: string | undefined
}

/** Where to listen. Throws an error with a code. */
export const bindTo = (endpoint: string, ipv6: boolean): BindTo => {
  const address = addressOf(endpoint)
  if (transportOf(endpoint) === "ipc") {
    const folder = address === "*" ? folderFor("socket") : undefined
    const path = folder === undefined ? address : join(folder, "socket")
    return {
      folder,
      listen: { path: systemPath(path) },
      resolved: () => `ipc://${path}`,
      path: path.startsWith("@") ? undefined : path
    }
  }
  const { host, port } = split(address)
  const wildcard = ipv6 ? "::" : "0.0.0.0"
  const at = host === "*" ? wildcard : numeric(host, ipv6)
  if (isIPv6(at.replace(/%.*$/, "")) && !ipv6) throw errorOf("ENODEV", "ipv6 is not set")
  return {
    listen: { host: at, port: port === "*" ? 0 : Number(port), ipv6Only: false },
    resolved: (info) => {
      const { address: bound, port } = info as AddressInfo
      return `tcp://${hostPort(bound, port)}`
    },
    path: undefined
  }
}

// As long as the path of a socket may be: longer ones are cut by node:net.
const longestPath = process.platform === "linux" ? 107 : 103

/** A folder of its own for a socket of this name. */
const folderFor = (name: string): string => {
  const prefix = join(tmpdir(), "tmp")
  // Six letters come to it.
  if (Buffer.byteLength(join(`${prefix}XXXXXX`, name)) > longestPath) throw errorOf("ENAMETOOLONG", prefix)
  return mkdtempSync(prefix)
}

/** Why nothing can be bound at a path: node:net has one code for a folder that is missing, and one that is not ours. */
export const pathError = (path: string, error: NodeJS.ErrnoException): Error =>
  error.code === "EACCES" && !existsSync(dirname(path)) ? errorOf("ENOENT", `no folder ${dirname(path)}`) : error

/** A name with an "@" in front is one of Linux' own, and no file. */
const systemPath = (path: string): string => (path.startsWith("@") ? `\0${path.slice(1)}` : path)

export type ConnectTo = { readonly path: string } | TcpNetConnectOpts

/** Where to connect. Throws an error with a code. */
export const connectTo = (endpoint: string, ipv6: boolean): ConnectTo => {
  const address = addressOf(endpoint)
  if (transportOf(endpoint) === "ipc") return { path: systemPath(address) }
  const semicolon = address.lastIndexOf(";")
  const { host, port } = split(address.slice(semicolon + 1))
  const to = { host, port: Number(port), noDelay: true, ...(ipv6 ? {} : { family: 4 }) }
  if (semicolon < 0) return to
  const source = split(address.slice(0, semicolon))
  const localPort = source.port === "*" ? 0 : Number(source.port)
  return { ...to, localAddress: numeric(source.host, ipv6), ...(localPort === 0 ? {} : { localPort }) }
}

/** Whether a name has an address. */
export const resolve = (host: string, ipv6: boolean, done: (error: unknown) => void): GiveUp => {
  let givenUp = false
  lookup(host, ipv6 ? {} : { family: 4 }, (error) => {
    if (!givenUp) done(error ?? undefined)
  })
  return () => {
    givenUp = true
  }
}

/** Calls with why a file of an ipc endpoint cannot be replaced, or with nothing if nobody listens there. */
export const whyNotReplace = (path: string, done: (error: Error | undefined) => void): void => {
  const probe = connect({ path })
  const end = (error: Error | undefined): void => {
    probe.destroy()
    done(error)
  }
  const inUse = (): void => end(errorOf("EADDRINUSE", "somebody listens there"))
  probe.once("connect", inUse)
  probe.once("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EAGAIN" || error.code === "EACCES") inUse()
    // It is not known.
    else end(error.code === "EMFILE" || error.code === "ENFILE" ? error : undefined)
  })
}
