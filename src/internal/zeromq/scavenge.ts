import { getHeapSpaceStatistics } from "node:v8"
import { textsMade } from "../texts.ts"

const KiB = 1024
const MiB = 1024 * KiB

// Messages that are smaller fill the young generation, too, with what comes with them.
const smallest = 4 * KiB
const bytesPerScavenge = 12 * MiB
// To fill more than this takes as long as it saves.
const mostToFill = 64 * MiB
// Larger objects are kept elsewhere.
const mostPerArray = 64 * KiB
const bytesPerElement = 8

/** How much may come at a time: most buffers must be garbage when V8 collects. */
export const bytesPerBurst = 4 * MiB

let untilNextLook = 0
// How much of the young generation to fill for each byte of a message.
let fillPerByte = 0
// How much of that is filled already.
let filled = 0
// V8 does not make an array that nobody keeps.
const garbage: [unknown] = [undefined]

/**
 * Has V8 free the buffers of large messages while they are young, which is cheap.
 *
 * libzmq's memory is not in V8's heap, so messages hardly fill V8's young
 * generation, and nothing collects that. Instead, when some 30 MiB of buffers
 * are there, V8 marks everything the program holds. Of messages of 64 KiB that
 * is each 500th, and in a program of a million objects it takes three times as
 * long as to receive them (bench/README.md). So an array that nobody needs
 * comes with each message, of such a size that the young generation is full in time.
 */
export const scavengeInTime = (bytes: number): void => {
  if (bytes < smallest) return
  untilNextLook -= bytes
  if (untilNextLook <= 0) {
    untilNextLook = bytesPerScavenge
    const young = getHeapSpaceStatistics().find((space) => space.space_name === "new_space")
    const size = young === undefined ? 0 : young.space_used_size + young.space_available_size
    fillPerByte = size > mostToFill ? 0 : size / bytesPerScavenge
  }
  // The texts of a burst count for the next one, and no longer.
  filled = Math.min(bytesPerBurst, filled + textsMade())
  let toFill = Math.min(bytes, bytesPerScavenge) * fillPerByte - filled
  filled = Math.max(0, -toFill)
  for (; toFill > 0; toFill -= mostPerArray) {
    garbage[0] = new Array(Math.ceil(Math.min(toFill, mostPerArray) / bytesPerElement))
  }
}
