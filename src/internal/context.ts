/** Contexts: which sockets are open in each, and what becomes of it afterwards. */
import type * as Effect from "effect/Effect"
import { type ContextSettings, makeContext, type NativeContext, sharedContext } from "./native.ts"
import { Reliance } from "./zapReliance.ts"

export class ContextCore {
  readonly settings: ContextSettings
  readonly sockets = new Set<{ readonly shut: Effect.Effect<void>; readonly reliesOnZap: boolean }>()
  readonly zap = new Reliance()
  closed = false
  private readonly make: () => NativeContext
  private made: NativeContext | undefined

  constructor(settings: ContextSettings, make: () => NativeContext) {
    this.settings = settings
    this.make = make
  }

  /** Made when it is first needed, as it has threads. */
  get native(): NativeContext {
    this.made ??= this.make()
    return this.made
  }

  /** Gives it away. */
  unmake(): NativeContext | undefined {
    const { made } = this
    this.made = undefined
    return made
  }
}

// libzmq's threads of a context end with the process, as zeromq.js has no way to
// end a context. One that is done with is used again, so that there are never
// more than were open at once.
const unused = new Map<string, Array<NativeContext>>()
const keyOf = (settings: ContextSettings): string => JSON.stringify(Object.entries(settings).sort())

export const openContext = (settings: ContextSettings): ContextCore =>
  new ContextCore(settings, () => unused.get(keyOf(settings))?.pop() ?? makeContext(settings))

/** To be called when all its sockets are closed. */
export const closeContext = (context: ContextCore): void => {
  const native = context.unmake()
  if (native === undefined) return
  const key = keyOf(context.settings)
  unused.set(key, [...(unused.get(key) ?? []), native])
}

/** The context of the process. It is never closed. */
export const processContext = new ContextCore({}, sharedContext)
