/** Programs, services and endpoints that end with work in hand, in each way that there is to end. */
import type { Workload } from "../row.ts"
import { endpoints } from "./n-endpoints.ts"
import { programs } from "./n-programs.ts"
import { services } from "./n-services.ts"

const limit = { quick: 240, full: 1800 }

export const workload: Workload = {
  id: "n",
  title: "ends with work in hand",
  counting:
    "Programs: each message whose send succeeded is sent, and must arrive at a slow reader, though the program has ended: by itself, by SIGTERM under `NodeRuntime.runMain`, by a failure or by a defect. A program may have been stopped between a send and writing that down. Services: a request whose handler has succeeded is sent, and so is one that was put back, which the next `serve` answers; none may be both. Endpoints: what is sent is a bind, and what is lost an endpoint that was not free.",
  alone: "it asks what this library does at the end",
  rows: [
    { library: "effect-zmq", variant: "programs", quick: 8, full: 288, limit, run: programs },
    { library: "effect-zmq", variant: "services", quick: 150, full: 3000, limit, run: services },
    { library: "effect-zmq", variant: "endpoints bound again", quick: 400, full: 10_000, limit, run: endpoints }
  ]
}
