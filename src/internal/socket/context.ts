/** Contexts: which sockets are open in each. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import type { ContextOptions } from "../../ZmqContext.ts"
import type { Engine, EngineContext } from "../engine.ts"
import { Reliance } from "./reliance.ts"

interface ContextSocket {
  readonly shut: Effect.Effect<void>
  readonly reliesOnZap: boolean
}

export class ContextCore {
  readonly settings: ContextOptions
  readonly sockets = new Set<ContextSocket>()
  readonly zap = new Reliance()
  closed = false
  private readonly isOfProcess: boolean
  private readonly opened = new Map<Engine, EngineContext>()

  constructor(settings: ContextOptions, isOfProcess = false) {
    this.settings = settings
    this.isOfProcess = isOfProcess
  }

  /** What it is to an engine. Throws what that throws. */
  of(engine: Engine): EngineContext {
    let context = this.opened.get(engine)
    if (context === undefined) {
      context = engine.openContext(this.isOfProcess ? undefined : { ...this.settings })
      this.opened.set(engine, context)
    }
    return context
  }

  /** To be called when all its sockets are closed. */
  close(): void {
    for (const context of this.opened.values()) context.close()
    this.opened.clear()
  }

  // Not what is behind the sockets: their keys, for example.
  toJSON(): object {
    return { _id: "Zmq.Context", ...this.settings, sockets: this.sockets.size, closed: this.closed }
  }
  readonly [Inspectable.NodeInspectSymbol] = (): object => this.toJSON()
}

/** The context of the process. It is never closed. */
const processContext = new ContextCore({}, true)

/** The context that sockets are opened in. */
export const CurrentContext = Context.Reference<ContextCore>("effect-zmq/Context", {
  defaultValue: () => processContext
})
