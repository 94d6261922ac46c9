/** Bytes in pieces, as they are read, made into records: lines, or what a NUL ends. */
import * as Stream from "effect/Stream"

/** The records of what is read. The last one needs no end. An empty separator makes one record of all. */
export const recordsOf = <E, R>(
  bytes: Stream.Stream<Uint8Array, E, R>,
  separator: "" | "\n" | "\0"
): Stream.Stream<ReadonlyArray<Buffer>, E, R> =>
  Stream.suspend(() => {
    const end = separator === "" ? undefined : separator.charCodeAt(0)
    let begun: Array<Buffer> = []
    const split = (piece: Uint8Array): Array<Buffer> => {
      const buffer = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
      const records: Array<Buffer> = []
      let start = 0
      if (end !== undefined) {
        for (let at = buffer.indexOf(end); at >= 0; at = buffer.indexOf(end, start)) {
          const rest = buffer.subarray(start, at)
          records.push(begun.length === 0 ? rest : Buffer.concat([...begun, rest]))
          begun = []
          start = at + 1
        }
      }
      if (start < buffer.length) begun.push(buffer.subarray(start))
      return records
    }
    const last = Stream.suspend(() => (begun.length === 0 ? Stream.empty : Stream.succeed([Buffer.concat(begun)])))
    return bytes.pipe(
      Stream.map(split),
      Stream.filter((records) => records.length > 0),
      Stream.concat(last)
    )
  })
