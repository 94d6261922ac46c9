import * as Context from "effect/Context"
import type { Engine } from "./engine.ts"
import { zeromqEngine } from "./zeromq/engine.ts"

/** The engine that sockets are opened on. */
export const CurrentEngine = Context.Reference<Engine>("effect-zmq/Engine", { defaultValue: () => zeromqEngine })
