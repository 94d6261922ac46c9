/**
 * Which of two sockets a program means: one that is provided inside another is the nearer. Of two that are
 * provided side by side it is neither.
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"

/** How a socket was provided as a layer: goes with it from context to context. */
interface Provided {
  readonly socket: unknown
  /** Layers that are built together are side by side, also where one is made from another. */
  readonly build: unknown
  /** The sockets that were there before. */
  readonly outside: ReadonlySet<unknown>
}

const Provided = Context.Service<Provided>("effect-zmq/internal/Provided")

const nobody: ReadonlySet<unknown> = new Set()

/** What goes with a socket that is provided by a layer, which is built within `around`. */
export const provided = (
  socket: unknown,
  around: Context.Context<never>,
  services: Iterable<string>
): readonly [string, Provided] => {
  const build = around.mapUnsafe.get(Layer.CurrentMemoMap.key)
  const before = around.mapUnsafe.get(Provided.key) as Provided | undefined
  const outside =
    before === undefined
      ? nobody
      : before.build === build
        ? before.outside
        : new Set([...services].map((key) => around.mapUnsafe.get(key)))
  return [Provided.key, { socket, build, outside }]
}

/** Whether a socket was provided inside another. */
export const isInside = (context: Context.Context<never>, socket: unknown, other: unknown): boolean => {
  const last = context.mapUnsafe.get(Provided.key) as Provided | undefined
  return last?.socket === socket && last?.outside.has(other) === true
}
