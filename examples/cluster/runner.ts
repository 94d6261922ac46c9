/** A runner: `npx tsx examples/cluster/runner.ts 3`, with HOST, PORT and DATABASE_URL. Ends at a SIGTERM. */
import { NodeRuntime } from "@effect/platform-node"
import { Layer } from "effect"
import { App } from "./app.ts"
import { machines, secured, workers } from "./layers.ts"

const places = { 2: workers, 3: machines, 4: secured }
const place = places[Number(process.argv[2]) as keyof typeof places](false)

NodeRuntime.runMain(Layer.launch(Layer.provide(App, place)))

// Of a process that has started it: when that is gone, it ends too. That may have been by now.
const end = () => process.kill(process.pid, "SIGTERM")
if (process.connected === false) end()
else process.on("disconnect", end)
