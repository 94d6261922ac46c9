/** Memory for what is kept of the bytes that were read. */

interface BufferConstructorOfThree {
  new (length: number): Buffer
  new (memory: ArrayBufferLike, offset: number, length: number): Buffer
}

/**
 * The class behind `Buffer`: what it makes is a Buffer in every respect, at the
 * price of a Uint8Array.
 */
const FastBuffer = (Buffer as unknown as { readonly [Symbol.species]: BufferConstructorOfThree })[Symbol.species]

export const viewOf = (memory: ArrayBufferLike, offset: number, length: number): Buffer =>
  new FastBuffer(memory, offset, length)

/** Part of some bytes, in the same memory. */
export const part = (bytes: Uint8Array, from: number, to: number): Buffer =>
  new FastBuffer(bytes.buffer, bytes.byteOffset + from, to - from)

/** The Buffer over some bytes, in the same memory. */
export const asBuffer = (bytes: Uint8Array): Buffer => (Buffer.isBuffer(bytes) ? bytes : part(bytes, 0, bytes.length))

export const nothing: Buffer = Buffer.alloc(0)

/** V8 keeps arrays of up to this many bytes in its own heap, where they cost 50 ns: a tenth of any other. */
const onHeap = 64
/** Up to here, several share a slab, which is a third of the price of one for each. */
const shared = 512
/** So small that a frame which is kept keeps about twice of what it costs alone: its objects take 400 bytes. */
const slabSize = 1024
/** Zeros are cheaper than memory that V8 does not have in stock. */
const zeroed = 4096

/** Gives memory to frames, so that none keeps more than a slab alive, or itself if it is larger. */
export class Memory {
  private slab: ArrayBuffer | undefined
  private used = slabSize

  take(length: number): Buffer {
    if (length === 0) return nothing
    if (length <= onHeap || (length > shared && length <= zeroed)) return new FastBuffer(length)
    if (length > zeroed) return Buffer.allocUnsafeSlow(length)
    if (slabSize - this.used < length) {
      this.slab = new ArrayBuffer(slabSize)
      this.used = 0
    }
    const buffer = new FastBuffer(this.slab!, this.used, length)
    this.used += length
    return buffer
  }

  copy(bytes: Uint8Array, from: number, length: number): Buffer {
    const buffer = this.take(length)
    copyInto(buffer, 0, bytes, from, length)
    return buffer
  }
}

/** Copies a part of some bytes. A loop is faster than a view as long as it is short. */
export const copyInto = (target: Uint8Array, at: number, bytes: Uint8Array, from: number, length: number): void => {
  if (length <= 24) for (let i = 0; i < length; i++) target[at + i] = bytes[from + i]!
  else target.set(new Uint8Array(bytes.buffer, bytes.byteOffset + from, length), at)
}

export const startsWith = (bytes: Uint8Array, prefix: Uint8Array): boolean => {
  if (bytes.length < prefix.length) return false
  for (let i = 0; i < prefix.length; i++) if (bytes[i] !== prefix[i]) return false
  return true
}

export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && startsWith(a, b)

/** What a log may show of a peer's text: printable ASCII. */
export const printable = (bytes: Uint8Array): string =>
  asBuffer(bytes)
    .toString("latin1")
    .replace(/[^\x20-\x7e]/g, "?")
