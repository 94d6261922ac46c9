import { closeSync, openSync } from "node:fs"
import { devNull } from "node:os"

/** Whether as many file descriptors are left. */
export const hasDescriptors = (count: number): boolean => {
  const opened: Array<number> = []
  try {
    for (let i = 0; i < count; i++) opened.push(openSync(devNull, "r"))
    return true
  } catch {
    return false
  } finally {
    for (const descriptor of opened) closeSync(descriptor)
  }
}
