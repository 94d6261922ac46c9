/** The cryptography of both packages. */
import { createRequire } from "node:module"
import { type Boxes, findNativeBoxes, findWrapperBoxes } from "../../src/internal/zmtp/protocol/boxes.ts"

const load = createRequire(import.meta.url)

const orFail = (name: string, boxes: Boxes | undefined): Boxes => {
  if (boxes === undefined) throw new Error(`${name} is not installed`)
  return boxes
}

export const nativeBoxes = orFail("sodium-native", findNativeBoxes(load))
export const wrapperBoxes = orFail("libsodium-wrappers", findWrapperBoxes(load))
await wrapperBoxes.ready
