// What a burst of messages may be at a time, in bytes. More is not counted.
const most = 4 * 1024 * 1024
// V8 keeps larger objects elsewhere.
const largest = 64 * 1024

let filled = 0

/** A text of so many bytes was made: it fills V8's young generation. */
export const textMade = (bytes: number): void => {
  if (bytes <= largest) filled = Math.min(most, filled + bytes)
}

/** How many bytes of texts were made since this was asked last. */
export const textsMade = (): number => {
  const bytes = filled
  filled = 0
  return bytes
}
