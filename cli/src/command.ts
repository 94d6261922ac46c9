/** `ezmq`, with all its commands. */
import { Command } from "effect/cli"
import { bench } from "./commands/bench.ts"
import { dealer, pair, router } from "./commands/both.ts"
import { cat } from "./commands/cat.ts"
import { keygen } from "./commands/keygen.ts"
import { proxy } from "./commands/proxy.ts"
import { pub } from "./commands/pub.ts"
import { pull } from "./commands/pull.ts"
import { push } from "./commands/push.ts"
import { rep } from "./commands/rep.ts"
import { req } from "./commands/req.ts"
import { sub } from "./commands/sub.ts"
import { watch } from "./commands/watch.ts"
import { zap } from "./commands/zap.ts"

export const ezmq = Command.make("ezmq").pipe(
  Command.withDescription("Look at ZeroMQ sockets, and try services."),
  Command.withExamples([
    { command: "ezmq sub tcp://127.0.0.1:5556", description: "See what is published" },
    { command: "ezmq req tcp://127.0.0.1:5559 ping --timeout 2s", description: "Ask a service" },
    { command: "seq 1000 | ezmq push --bind tcp://*:5557", description: "Send jobs" },
    { command: "ezmq rep --bind tcp://*:5559 --echo", description: "Be a service" }
  ]),
  Command.withSubcommands([
    { group: "Sockets", commands: [sub, pub, pull, push, req, rep, dealer, router, pair] },
    { group: "Between", commands: [proxy, watch, bench] },
    { group: "Files", commands: [keygen, zap, cat] }
  ])
)
