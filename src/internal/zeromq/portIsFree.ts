/** Endpoints that nobody listens at any more. */
import { readFile } from "node:fs/promises"
import { createServer } from "node:net"

/** How long libzmq's threads may take at most to close what has nothing left to send, in milliseconds. */
export const promptly = 1000

/**
 * Waits until an endpoint can be bound again, without libzmq: for sockets whose end it
 * does not tell, because they are not watched. An ipc path can be bound at any time.
 */
export const whenFree = async (endpoint: string): Promise<void> => {
  const isTaken = lookAt(endpoint)
  const end = performance.now() + promptly
  for (let delay = 1; performance.now() < end && (await isTaken?.()); delay = Math.min(delay * 2, slowest)) {
    await new Promise((resolve) => setTimeout(resolve, delay))
  }
}

const lookAt = (endpoint: string): (() => Promise<boolean>) | undefined => {
  const name = /^ipc:\/\/(@.*)$/.exec(endpoint)?.[1]
  if (name !== undefined) return () => nameIsTaken(name)
  const [, host, port] = /^(?:tcp|ws):\/\/(.*):(\d+)(?:\/.*)?$/.exec(endpoint) ?? []
  if (host === undefined) return undefined
  return () => portIsTaken({ host: host.replace(/^\[|\]$/g, ""), port: Number(port), exclusive: true })
}

const slowest = 16

const portIsTaken = (address: {
  readonly host: string
  readonly port: number
  readonly exclusive: true
}): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.on("error", (error: NodeJS.ErrnoException) => resolve(error.code === "EADDRINUSE"))
    server.listen(address, () => server.close(() => resolve(false)))
  })

// An abstract name of Linux has no file. Node binds other names than libzmq, which it
// fills up with zeros, and so cannot try.
const nameIsTaken = async (name: string): Promise<boolean> => {
  const sockets = await readFile("/proc/net/unix", "utf8").catch(() => "")
  return sockets.split("\n").some((line) => line.endsWith(` ${name}`) && line.split(/ +/)[3] === listening)
}

const listening = "00010000"
