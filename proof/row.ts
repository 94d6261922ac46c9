/** What a workload is made of: rows, each of which runs in a process of its own. */
import type { Books } from "./ledger.ts"

export type Library = "effect-zmq" | "wrapper" | "PyZMQ" | "NodeClusterSocket"

/** What a row's process reports when it is through. */
export interface Outcome extends Books {
  /** What else there is to know, for the table. */
  readonly notes?: ReadonlyArray<string>
  /** What went wrong besides. A row with faults has failed. */
  readonly faults?: ReadonlyArray<string>
}

/** How much to do: messages, rounds, connections, as the row has it; and for how long a soak lasts. */
export interface Size {
  readonly count: number
  readonly quick: boolean
  readonly minutes: number
}

export interface Row {
  readonly library: Library
  readonly variant: string
  /** With `--quick`. 0: not then. */
  readonly quick: number
  readonly full: number
  /** Seconds after which the process is killed and the row has failed. */
  readonly limit: { readonly quick: number; readonly full: number }
  /** A program of ours, or a script for Python. */
  readonly run: ((size: Size) => Promise<Outcome>) | { readonly python: string; readonly args?: ReadonlyArray<string> }
  /** Why this row is not expected to hold: it is measured and shown, and does not fail the run. */
  readonly known?: string
  /** Why this row cannot run here. */
  readonly skip?: () => string | undefined
}

export interface Workload {
  readonly id: string
  readonly title: string
  /** How its messages are counted, where that needs a word. */
  readonly counting?: string
  /** Why there is no row of another library, where there is none. */
  readonly alone?: string
  readonly rows: ReadonlyArray<Row>
}

/** A line of the table. */
export interface Result extends Outcome {
  readonly id: string
  readonly title: string
  readonly library: Library
  readonly variant: string
  readonly unhandled: number
  readonly defects: number
  readonly seconds: number
  readonly status: "held" | "failed" | "known" | "skipped" | "measured"
}
