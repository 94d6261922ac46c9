/** Runs tests, and their processes and threads, on another engine than the default: `ENGINE=zmtp`. */
import { CurrentEngine } from "../../src/internal/currentEngine.ts"
import { zmtpEngine } from "../../src/internal/zmtp/engine.ts"

if (process.env.ENGINE === "zmtp") Object.assign(CurrentEngine, { defaultValue: () => zmtpEngine })
