/**
 * What became of a message that was sent with a time limit of 0.
 *
 * The promise is settled when `send` returns, and whoever waits a microtask to
 * read it can be interrupted in between, with the message gone. Node has no
 * other public way to look at a settled promise than to print it.
 */
import { inspect } from "node:util"
import type { Offer } from "../engine.ts"

// Whatever the defaults of the process are, as the answer depends on it.
const asOneLine = { depth: 2, compact: 3, breakLength: Number.POSITIVE_INFINITY, colors: false, customInspect: false }

/** What the error says, by the code that its text contains. */
export const refusal = (text: string): Offer => {
  if (text.includes("EAGAIN")) return "full"
  if (text.includes("EHOSTUNREACH")) return "unroutable"
  if (text.includes("EFSM")) return "outOfTurn"
  return "closed"
}

export const answerOf = (send: () => Promise<void>): Offer => {
  const sent = withoutStack(send)
  sent.catch(ignore)
  const state = inspect(sent, asOneLine)
  return state.includes("<rejected>") ? refusal(state) : "sent"
}

const ignore = (): void => {}

/** The stack of an error that only says EAGAIN costs more than all the rest. */
const withoutStack = <A>(run: () => A): A => {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return run()
  } finally {
    Error.stackTraceLimit = limit
  }
}

/** An error with a code, as zeromq.js has them. */
export const errorOf = (code: string, text: string = code): Error => Object.assign(new Error(text), { code })

const unreadable = "ERR_ENGINE_UNSUPPORTED"

const known: ReadonlyArray<readonly [Offer, () => Promise<void>]> = [
  ["sent", () => Promise.resolve()],
  ["full", () => Promise.reject(errorOf("EAGAIN", "later"))],
  ["unroutable", () => Promise.reject(errorOf("EHOSTUNREACH", "nobody"))],
  ["outOfTurn", () => Promise.reject(errorOf("EFSM", "not now"))]
]

let readable: boolean | undefined

/**
 * Makes sure, once, that this Node prints promises as it always did: with another
 * text what was refused would be taken for sent. Throws if it does not.
 */
export const checkAnswers = (): void => {
  readable ??= known.every(([answer, send]) => answerOf(send) === answer)
  if (!readable) throw errorOf(unreadable, `Node ${process.version} prints promises in another way`)
}
