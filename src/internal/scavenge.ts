import { getHeapSpaceStatistics } from "node:v8"

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
// As texts of a burst do. For others that may follow they don't count.
const mostFilled = (4 * MiB) / bytesPerElement

let untilNextLook = 0
let elementsPerByte = 0
// What others have filled of what is to be filled.
let elementsFilled = 0
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
    elementsPerByte = size > mostToFill ? 0 : size / bytesPerElement / bytesPerScavenge
  }
  const most = mostPerArray / bytesPerElement
  let elements = Math.ceil(Math.min(bytes, bytesPerScavenge) * elementsPerByte - elementsFilled)
  elementsFilled = Math.max(0, -elements)
  for (; elements > 0; elements -= most) garbage[0] = new Array(Math.min(elements, most))
}

/** A text of so many bytes was made of a message: it fills the young generation as well as an array does. */
export const textMade = (bytes: number): void => {
  if (bytes <= mostPerArray) elementsFilled = Math.min(mostFilled, elementsFilled + bytes / bytesPerElement)
}
