/** The types of sockets that ZeroMQ has. */
export const stableTypes = [
  "pull",
  "push",
  "pub",
  "sub",
  "req",
  "rep",
  "dealer",
  "router",
  "pair",
  "xpub",
  "xsub",
  "rawStream"
] as const
export const draftTypes = ["server", "client", "radio", "dish", "gather", "scatter", "datagram"] as const

export type StableType = (typeof stableTypes)[number]
export type DraftType = (typeof draftTypes)[number]
export type SocketType = StableType | DraftType

export const isDraft = (type: SocketType): type is DraftType => (draftTypes as ReadonlyArray<SocketType>).includes(type)
