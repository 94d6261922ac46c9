/**
 * Binding over udp. libzmq binds in another thread, some time later, and tells
 * nobody when that fails.
 */
import { createSocket } from "node:dgram"
import { readFileSync } from "node:fs"
import { isIPv4 } from "node:net"
import { networkInterfaces } from "node:os"
import { isMulticast, udpTarget } from "../../endpoint.ts"
import type { Done, GiveUp } from "../../engine.ts"
import { errorOf } from "../answer.ts"

/** Binds, and sees to it that it is bound then. `undo` ends it, should that fail or be given up. */
export const bindUdp = (
  endpoint: string,
  bind: () => string,
  undo: (resolved: string) => void,
  done: Done<string>
): GiveUp => {
  let givenUp = false
  let resolved: string | undefined
  const run = async (): Promise<string> => {
    const before = listeners()
    const isListed = await tryBind(endpoint)
    if (givenUp) return endpoint
    resolved = bind()
    await untilListens(endpoint, isListed ? before : undefined, () => givenUp)
    return resolved
  }
  const fail = (error: unknown): void => {
    if (resolved !== undefined) undo(resolved)
    if (!givenUp) done(error)
  }
  run().then((bound) => {
    if (!givenUp) done(undefined, bound)
  }, fail)
  return () => {
    if (!givenUp && resolved !== undefined) undo(resolved)
    givenUp = true
    resolved = undefined
  }
}

/** Binds for a moment, and says whether the system lists it then. */
const tryBind = (endpoint: string): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const { host, port } = udpTarget(endpoint)
    const any = host === "*" || isMulticast(host)
    const local = any ? "0.0.0.0" : isIPv4(host) ? host : addressOf(host)
    if (local === undefined) return reject(errorOf("ENODEV", `no interface ${host}`))
    // As libzmq does it: those who all set the option may share an address.
    const socket = createSocket({ type: "udp4", reuseAddr: true })
    socket.once("error", (error) => {
      socket.close()
      reject(error)
    })
    socket.bind({ address: local, port, exclusive: true }, () => {
      const isListed = [...(listeners()?.values() ?? [])].includes(port)
      socket.close(() => resolve(isListed))
    })
  })

/** The udp sockets there are, as Linux lists them: inodes, with their local ports. `undefined` elsewhere. */
const listeners = (): ReadonlyMap<string, number> | undefined => {
  try {
    const lines = readFileSync("/proc/net/udp", "latin1").trim().split("\n").slice(1)
    const columns = lines.map((line) => line.trim().split(/ +/))
    return new Map(
      columns.map(([, local, , , , , , , , inode]) => [inode!, Number.parseInt(local!.split(":")[1]!, 16)])
    )
  } catch {
    return undefined
  }
}

// By the system's time, whatever clock the program goes by.
const pause = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis))

const mostPauses = 2000

const untilListens = async (
  endpoint: string,
  before: ReadonlyMap<string, number> | undefined,
  isOver: () => boolean
): Promise<void> => {
  // Nothing tells. It takes less than that.
  if (before === undefined) return pause(20)
  const { port } = udpTarget(endpoint)
  const isBound = () => [...(listeners() ?? [])].some(([inode, at]) => at === port && !before.has(inode))
  for (let pauses = 0; !isOver(); pauses++) {
    if (isBound()) return
    if (pauses === mostPauses) throw new Error("libzmq did not bind it, and does not say why")
    await pause(1)
  }
}

const addressOf = (nic: string): string | undefined =>
  networkInterfaces()[nic]?.find(({ family }) => family === "IPv4")?.address
