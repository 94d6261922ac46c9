/** Endpoints that nobody listens at any more. */
import { createServer } from "node:net"

/** How long libzmq's threads may take at most to close what has nothing left to send, in milliseconds. */
export const promptly = 1000

/**
 * Waits until a port can be bound again, without libzmq: for sockets whose end it
 * does not tell, because they are not watched. An ipc endpoint can be bound at any time.
 */
export const whenFree = async (endpoint: string): Promise<void> => {
  const [, host, port] = /^(?:tcp|ws):\/\/(.*):(\d+)(?:\/.*)?$/.exec(endpoint) ?? []
  if (host === undefined) return
  const address = { host: host.replace(/^\[|\]$/g, ""), port: Number(port), exclusive: true }
  const end = performance.now() + promptly
  for (let delay = 1; performance.now() < end && (await isTaken(address)); delay = Math.min(delay * 2, slowest)) {
    await new Promise((resolve) => setTimeout(resolve, delay))
  }
}

const slowest = 16

const isTaken = (address: { readonly host: string; readonly port: number }): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.on("error", (error: NodeJS.ErrnoException) => resolve(error.code === "EADDRINUSE"))
    server.listen(address, () => server.close(() => resolve(false)))
  })
