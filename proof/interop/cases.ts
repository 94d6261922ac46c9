/** All that is to be tried, and a few of it in which each two values meet. */

export const mechanisms = ["NULL", "PLAIN", "CURVE"] as const
export const transports = ["tcp", "ipc"] as const
export const marks = [1, 7, 1000] as const

/** Who sends, and who receives: at least one of them is ours. */
export const sides = [
  ["zmtp", "zmtp"],
  ["zmtp", "zeromq"],
  ["zeromq", "zmtp"],
  ["zmtp", "pyzmq"],
  ["pyzmq", "zmtp"]
] as const

/** Every pair of types that may talk, with who begins in front. */
export const pairs = [
  ["push", "pull"],
  ["pub", "sub"],
  ["pub", "xsub"],
  ["xpub", "sub"],
  ["xpub", "xsub"],
  ["pair", "pair"],
  ["dealer", "dealer"],
  ["dealer", "router"],
  ["router", "dealer"],
  ["router", "router"],
  ["req", "rep"],
  ["req", "router"],
  ["dealer", "rep"]
] as const

export type Side = (typeof sides)[number][number]
export type Type = (typeof pairs)[number][number]
export type Mechanism = (typeof mechanisms)[number]

export interface Case {
  readonly sides: (typeof sides)[number]
  readonly pair: (typeof pairs)[number]
  /** Who binds, and is the server of the mechanism. */
  readonly binds: "sender" | "receiver"
  readonly transport: (typeof transports)[number]
  readonly mechanism: Mechanism
  /** The high-water marks of both. */
  readonly mark: (typeof marks)[number]
}

/** Whether the sender does not wait for replies. */
export const flows = ({ pair: [a, b] }: Pick<Case, "pair">): boolean => a !== "req" && b !== "rep"

/**
 * What libzmq (4.3.5) cannot do, with libzmq either. Where ZAP gives it a user id, that comes first of all into the
 * inbox of the peer: it takes the one place that a mark of 1 has for ever, unless that is ours, which makes it 2; and a
 * REQ takes it for a bad reply.
 */
const isBeyondLibzmq = (one: Case): boolean => {
  const { binds, mark, mechanism, pair, sides } = one
  const [side, type] = binds === "sender" ? [sides[0], pair[0]] : [sides[1], pair[1]]
  // Replies, or subscriptions.
  const receives = binds === "receiver" || !flows(one) || type === "pub" || type === "xpub"
  return side !== "zmtp" && mechanism !== "NULL" && receives && ((mark === 1 && side === "pyzmq") || type === "req")
}

export const cases: ReadonlyArray<Case> = sides
  .flatMap((sides) =>
    pairs.flatMap((pair) =>
      (["sender", "receiver"] as const).flatMap((binds) =>
        transports.flatMap((transport) =>
          mechanisms.flatMap((mechanism) => marks.map((mark) => ({ sides, pair, binds, transport, mechanism, mark })))
        )
      )
    )
  )
  .filter((one) => !isBeyondLibzmq(one))

export const nameOf = ({ binds, mark, mechanism, pair, sides, transport }: Case): string =>
  `${pair[0]} of ${sides[0]} to ${pair[1]} of ${sides[1]}, the ${binds} bound to ${transport}, ${mechanism}, marks of ${mark}`

/** As few as it takes for every two values of all these to meet, as far as choosing greedily goes. */
export const fewCases = (): ReadonlyArray<Case> => {
  const keys = Object.keys(cases[0]!) as ReadonlyArray<keyof Case>
  const meetings = (one: Case): ReadonlyArray<string> =>
    keys.flatMap((a, i) => keys.slice(i + 1).map((b) => `${a} ${one[a]} ${b} ${one[b]}`))
  const open = new Set(cases.flatMap(meetings))
  const chosen: Array<Case> = []
  while (open.size > 0) {
    let best = cases[0]!
    let most = 0
    for (const one of cases) {
      const count = meetings(one).filter((meeting) => open.has(meeting)).length
      if (count > most) {
        most = count
        best = one
      }
    }
    for (const meeting of meetings(best)) open.delete(meeting)
    chosen.push(best)
  }
  return chosen
}
