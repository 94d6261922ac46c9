/** What a peer can make us hold. */
export interface Limits {
  /** Bytes of one frame of a message. Unlimited, as in libzmq: but see `messageBytes`. */
  readonly frameBytes: number
  /** Bytes of all frames of a message together. */
  readonly messageBytes: number
  /** Frames of a message. An empty frame costs 32 bytes here, and the peer two. */
  readonly frames: number
  /** Bytes of a command of the handshake, with the metadata in it. An honest one has less than 1 KiB. */
  readonly handshakeBytes: number
  /** Bytes of a command after the handshake: of a subscription, as the others are short. */
  readonly commandBytes: number
  /** Properties in the metadata. */
  readonly properties: number
  /** Answers to PING that the peer has not read yet. RFC 37 asks for "a small number". */
  readonly pongs: number
}

export const defaultLimits: Limits = {
  frameBytes: Number.POSITIVE_INFINITY,
  messageBytes: 2 ** 31 - 1,
  frames: 65_536,
  handshakeBytes: 8 * 1024,
  commandBytes: 64 * 1024,
  properties: 64,
  pongs: 1000
}
