import { OptionError } from "../../ZmqError.ts"
import { type Limits, largestWindow } from "./connection.ts"

/** The options of both sides that are about the protocol. */
interface Given {
  readonly window?: number | undefined
  readonly maxPending?: number | undefined
  readonly maxMessageSize?: number | undefined
}

/** What the sockets have unless told otherwise. */
export const socketDefaults = { heartbeatInterval: "5 seconds", maxMessageSize: 64 * 1024 * 1024 } as const

const defaultWindow = 256 * 1024
const windows = { least: 1024, most: largestWindow }
const defaultPending = 16 * 1024 * 1024

const within = (option: string, value: number, least: number, most: number): number => {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value
  const expected = `a whole number of bytes from ${least} to ${most}`
  throw new OptionError({ option, value, expected })
}

/** Throws OptionError. */
export const limitsOf = ({ maxMessageSize, maxPending, window }: Given): Limits => ({
  window: within("window", window ?? defaultWindow, windows.least, windows.most),
  maxPending: within("maxPending", maxPending ?? defaultPending, 0, Number.MAX_SAFE_INTEGER),
  // libzmq's -1 is no limit.
  largest:
    (maxMessageSize ?? socketDefaults.maxMessageSize) < 0
      ? Number.POSITIVE_INFINITY
      : (maxMessageSize ?? socketDefaults.maxMessageSize)
})
