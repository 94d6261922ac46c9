/** A runner with accounts and desks. */
import { readConfig } from "./peer.ts"
import { runRunner } from "./run.ts"
import { layerWork } from "./work.ts"

const config = readConfig()
runRunner(config, layerWork(config.name))
