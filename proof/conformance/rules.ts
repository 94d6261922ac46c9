/**
 * The rules: each has where it stands, what it says, and how it is tried. A
 * rule that a library is known to break says so, with how.
 */
import type { Boxes } from "../../src/internal/zmtp/protocol/boxes.ts"
import type { Driver, Kind, Spec } from "./subject.ts"
import type { Listener, Wire } from "./wire.ts"

export interface Trial {
  /** A connection to a subject that is bound. Each has a socket of its own. */
  readonly dial: () => Promise<Wire>
  /** A connection from a subject that connects, made for it. */
  readonly accept: () => Promise<Wire>
  /** The connections of one subject, as it comes again. */
  readonly comesAgain: () => Promise<Listener>
  /** A driven subject that is bound: `dial` it. */
  readonly drive: () => Promise<Driver>
  /** One that connects, made before anybody listens. */
  readonly driveTo: (endpoint: string) => Promise<Driver>
  /** Listens at an endpoint, until the rule was tried. */
  readonly listen: (endpoint?: string) => Promise<Listener>
  readonly boxes: Boxes
}

export interface Rule {
  readonly rfc: 23 | 24 | 26 | 28 | 29 | 30 | 31 | 37
  readonly section: string
  readonly level: "MUST" | "MUST NOT" | "SHALL" | "SHALL NOT" | "SHOULD" | "grammar"
  readonly rule: string
  readonly kind: Kind
  readonly mechanism: Spec["mechanism"]
  readonly refuses?: boolean
  readonly run: (trial: Trial) => Promise<void>
  /** How libzmq (4.3.5) breaks it. */
  readonly libzmq?: string
  /** How `src/internal/zmtp` breaks it, and why. */
  readonly zmtp?: string
  /** To see that it is broken takes as long as to see that something does not come. */
  readonly isSlow?: true
}

export const idOf = ({ rfc, rule, section }: Rule): string => `RFC ${rfc}, ${section}: ${rule}`

/** Fails if this is not so. */
export function check(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what)
}

export const same = (found: unknown, expected: unknown, what: string): void => {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)]
  check(a === b, `${what}: ${a}, and not ${b}`)
}
