import { randomBytes } from "node:crypto"

const prefixLength = 4
const idLength = 16
const idsAtOnce = 256

/**
 * Ids of requests: what tells ours from those of a DEALER before us on the same
 * routing id, and from other messages; and then random bytes. A server knows the
 * ids of what it was asked, and must not guess what another was asked.
 */
export class RequestIds {
  private readonly prefix = randomBytes(prefixLength)
  private pool = Buffer.alloc(0)

  next(): Buffer {
    if (this.pool.length === 0) this.pool = randomBytes(idLength * idsAtOnce)
    const id = this.pool.subarray(0, idLength)
    this.pool = this.pool.subarray(idLength)
    this.prefix.copy(id)
    return id
  }

  isOurs(id: Buffer): boolean {
    return id.length === idLength && id.compare(this.prefix, 0, prefixLength, 0, prefixLength) === 0
  }
}
