/** A network between two programs that can be cut: a relay, which carries bytes to where one of them listens. */
import { connect, createServer, type NetConnectOpts, type Socket } from "node:net"
import { Effect, type Scope } from "effect"

export interface Relay {
  /** Where it listens. */
  readonly port: number
  /** Ends its connections. */
  readonly cut: () => void
  /** It carries nothing, and says nothing of it, until it is mended. */
  readonly pull: () => void
  readonly mend: () => void
}

export const relayTo = (place: NetConnectOpts): Effect.Effect<Relay, never, Scope.Scope> =>
  Effect.gen(function* () {
    const pairs = new Set<readonly [Socket, Socket]>()
    let isPulled = false
    const carry = (near: Socket, far: Socket): void => {
      near.pipe(far)
      far.pipe(near)
    }
    const server = createServer({ pauseOnConnect: true }, (near) => {
      const far = connect(place)
      const pair = [near, far] as const
      pairs.add(pair)
      const end = (): void => {
        pairs.delete(pair)
        near.destroy()
        far.destroy()
      }
      for (const side of pair) side.on("error", end).on("close", end)
      if (!isPulled) carry(near, far)
    })
    const cut = (): void => {
      for (const [near] of pairs) near.destroy()
    }
    const port = yield* Effect.acquireRelease(
      Effect.callback<number>((resume) => {
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as { port: number }).port)))
      }),
      () =>
        Effect.sync(() => {
          server.close()
          cut()
        })
    )
    return {
      port,
      cut,
      pull: () => {
        isPulled = true
        for (const [near, far] of pairs) {
          near.unpipe(far)
          far.unpipe(near)
          near.pause()
          far.pause()
        }
      },
      mend: () => {
        isPulled = false
        for (const [near, far] of pairs) carry(near, far)
      }
    }
  })
