/** The ZAP authenticator of a context, to those who are let in by it. */
import type { Setting } from "./engine.ts"

/** Where it is asked. */
export const zapEndpoint = "inproc://zeromq.zap.01"

/** Whether it is asked about the peers of a socket, if there is one. */
export const reliesOnZap = (settings: Iterable<Setting>): boolean => {
  for (const { option, value } of settings) {
    if (option === "zapDomain" || (/^(curve|plain)Server$/.test(option) && value === true)) return true
  }
  return false
}
