import { writeSync } from "node:fs"

/** Writes a line at once, so that it outlives this process. */
export const writeLine = (text: string): void => {
  let rest = Buffer.from(`${text}\n`)
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest))
    } catch (error) {
      // The pipe is full: whoever reads it is behind.
      if ((error as { code?: string }).code !== "EAGAIN") throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
    }
  }
}
