/** What the rows of (n) and (o) share. */

/** Seconds in which whatever is to come has come, however busy the machine. */
export const patience = 60

let names = 0
/** A file that nobody has used. */
export const path = (): string => `/tmp/effect-zmq-proof-${process.pid}-${names++}`
export const ipc = (): string => `ipc://${path()}`

export const sleep = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis))

export interface Books {
  sent: number
  delivered: number
  lost: number
  duplicated: number
  outOfOrder: number
}
export const empty = (): Books => ({ sent: 0, delivered: 0, lost: 0, duplicated: 0, outOfOrder: 0 })
