import { getHeapSpaceStatistics } from "node:v8"

/**
 * Has V8 free the buffers of large messages while they are young, which is cheap.
 *
 * libzmq's memory is not in V8's heap, so messages hardly fill V8's young
 * generation, and nothing collects that. Instead, when some 30 MiB of buffers
 * are there, V8 marks everything the program holds. Of messages of 64 KiB that
 * is each 500th, and with a heap of 100 MB it takes three times as long as to
 * receive them (bench/README.md). So an array that nobody needs comes with each
 * buffer, of such a size that the young generation is full in time.
 */
export const scavengeInTime = (bytes: number): void => {
  if (bytes < least) return
  toNextLook -= bytes
  if (toNextLook <= 0) {
    toNextLook = bytesPerScavenge
    const young = getHeapSpaceStatistics().find((space) => space.space_name === "new_space")
    const capacity = young === undefined ? 0 : young.space_used_size + young.space_available_size
    slotsPerByte = capacity / bytesPerSlot / bytesPerScavenge
  }
  for (let slots = Math.ceil(bytes * slotsPerByte); slots > 0; slots -= mostSlots) {
    garbage[0] = new Array(Math.min(slots, mostSlots))
  }
}

// What comes with smaller messages fills the young generation by itself.
const least = 4096
const bytesPerScavenge = 12 * 1024 * 1024
const bytesPerSlot = 8
// Larger arrays are not made in the young generation.
const mostSlots = 8192

let toNextLook = 0
let slotsPerByte = 0
// V8 would not make an array that nobody keeps.
const garbage: [unknown] = [undefined]
