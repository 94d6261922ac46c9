/** The cryptography, from here or from where `SODIUM_FROM` says that it is installed. */
import { createRequire } from "node:module"
import { pathToFileURL } from "node:url"
import { type Boxes, type Import, loadNativeBoxes, loadWrapperBoxes } from "../../src/internal/zmtp/protocol/boxes.ts"

const from = process.env.SODIUM_FROM

const load: Import =
  from === undefined
    ? (name) => import(name)
    : (name) => import(pathToFileURL(createRequire(`${from}/package.json`).resolve(name)).href)

const orFail = (name: string, boxes: Boxes | undefined): Boxes => {
  if (boxes === undefined) throw new Error(`${name} is not installed: install it, or say with SODIUM_FROM where it is`)
  return boxes
}

export const nativeBoxes = orFail("sodium-native", await loadNativeBoxes(load))
export const wrapperBoxes = orFail("libsodium-wrappers", await loadWrapperBoxes(load))
