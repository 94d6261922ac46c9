#!/usr/bin/env node
/** Runs `ezmq` to its end, and gives its exit code. */
import { createRequire } from "node:module"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { CliConfig, CliOutput, Command, GlobalFlag } from "effect/cli"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ezmq } from "./command.ts"
import { codes, outcome } from "./failure.ts"
import { layerHelp } from "./help.ts"
import { say } from "./notes.ts"
import { write } from "./output.ts"

const { version } = createRequire(import.meta.url)("../package.json") as { readonly version: string }

// `-0` is a number to the parser, and an option to everybody who knows xargs.
const args = process.argv.slice(2)
const end = args.indexOf("--")
const words = args.map((word, i) => (word === "-0" && (end < 0 || i < end) ? "--null" : word))

/** A wrong option is a line, and not a page of help. */
const presenter: CliOutput.Presenter = {
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? Effect.sync(() => {
          for (const { message } of event.errors) say(message.replaceAll(/\s*\n\s*/g, " "))
          say(`see ${event.commandPath.join(" ")} --help`)
        })
      : CliOutput.defaultPresenter.present(event)
}

// The second time is meant: whatever we still wait for, we end.
let signals = 0
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    if (++signals > 1) process.exit(codes.signal)
  })
}

NodeRuntime.runMain(
  Command.runWith(ezmq, { version })(words).pipe(
    Effect.provide(
      Layer.mergeAll(
        NodeServices.layer,
        layerHelp,
        Layer.succeed(CliOutput.Presenter, presenter),
        CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] })
      )
    )
  ),
  {
    disableErrorReporting: true,
    teardown: (exit) => {
      const { code, line } = outcome(exit)
      if (line !== undefined) say(line)
      // Standard input may still be open, and what was written may be on its way.
      Effect.runFork(
        Effect.ensuring(
          Effect.ignore(write("")),
          Effect.sync(() => process.exit(code))
        )
      )
    }
  }
)
