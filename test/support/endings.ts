/** What `ending.ts` and its peers agree on. */
export const frames = 24
export const bytes = 250_000
export const peer = "peer"
export const ended = "ended on purpose"

export const frameOf = (number: number): Buffer => Buffer.alloc(bytes, number)
