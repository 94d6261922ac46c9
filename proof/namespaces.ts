/** Network namespaces, for rows that cut a network: what is cut there sends nothing, not even that it has ended. */
import { execFileSync } from "node:child_process"

export const ip = (...args: ReadonlyArray<string>): void => {
  execFileSync("ip", args, { stdio: ["ignore", "ignore", "pipe"] })
}

export const quietly = (run: () => void): void => {
  try {
    run()
  } catch {
    // it was not there
  }
}

let permitted: string | undefined | null = null

/** Why there are none here, if so. */
export const needsNamespaces = (): string | undefined => {
  if (permitted !== null) return permitted
  const name = `ezmq-probe-${process.pid}`
  try {
    ip("netns", "add", name)
    ip("-n", name, "link", "add", "ezmq0", "type", "veth", "peer", "name", "ezmq1")
    permitted = undefined
  } catch (error) {
    const { message } = error as Error
    permitted = `network namespaces are not permitted here (${message.trim().split("\n").at(-1)}): run as root with CAP_NET_ADMIN`
  }
  quietly(() => ip("netns", "del", name))
  return permitted
}
