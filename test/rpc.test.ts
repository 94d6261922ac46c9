/** Calls of every kind, over every transport and serialization, and over Effect's own transport beside them. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { callAll, expected } from "./support/rpc/api.ts"
import { allSerializations, effectTcp, serializations, zmq } from "./support/rpc/transports.ts"
import { transports } from "./support/sockets.ts"

describe("calls of every kind", () => {
  for (const serialization of allSerializations) {
    for (const transport of transports) {
      it.live(`over ${transport}, as ${serialization}`, () =>
        Effect.gen(function* () {
          const both = yield* zmq(transport)
          expect(yield* callAll(both, both.seen)).toEqual(expected)
        }).pipe(Effect.scoped, Effect.provide(serializations[serialization]))
      )
    }
  }

  // Those without framing of their own do not go over a stream of bytes.
  for (const serialization of ["ndjson", "ndJsonRpc", "schemaBinary"] as const) {
    it.live(`over Effect's TCP transport, as ${serialization}`, () =>
      Effect.gen(function* () {
        const both = yield* effectTcp
        const { besideStalled: _, ...others } = expected
        expect(yield* callAll(both, both.seen, "all")).toEqual(others)
      }).pipe(Effect.scoped, Effect.provide(serializations[serialization]))
    )
  }
})
