/** Whose turn it is on a REQ and a REP, after every sequence of operations. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Zmq } from "effect-zmq"
import { openNow, type ScriptedSocket } from "./support/scripted.ts"

type Turn = "send" | "receive" | "either"

/** What the turns of a socket are, written down plainly. */
interface Rules {
  readonly first: Turn
  /** Whose turn it is after a receive that found nothing. */
  readonly foundNothing: (turn: Turn) => Turn
  /** Whether a peer may send now. */
  readonly mayArrive: (turn: Turn) => boolean
}

const sockets: { readonly [name: string]: readonly [open: () => Opened, rules: Rules] } = {
  "a REP": [
    () => openNow(Zmq.rep({ receiveTimeout: 0 })),
    { first: "receive", foundNothing: (turn) => turn, mayArrive: () => true }
  ],
  "a strict REQ": [
    () => openNow(Zmq.req({ receiveTimeout: 0, relaxed: false })),
    { first: "send", foundNothing: (turn) => turn, mayArrive: (turn) => turn === "receive" }
  ],
  "a relaxed REQ": [
    () => openNow(Zmq.req({ receiveTimeout: 0 })),
    { first: "send", foundNothing: () => "either", mayArrive: (turn) => turn !== "send" }
  ]
}

interface Opened {
  readonly socket: Zmq.Req | Zmq.Rep
  readonly port: ScriptedSocket
}

const operations = ["arrive", "recv", "tryRecv", "send", "trySend"] as const
type Operation = (typeof operations)[number]

const sequencesOf = (length: number): Array<ReadonlyArray<Operation>> =>
  length === 0 ? [[]] : sequencesOf(length - 1).flatMap((rest) => operations.map((operation) => [...rest, operation]))

/** Does it, and says what came of it. */
const run = ({ port, socket }: Opened, operation: Operation): Effect.Effect<string> => {
  const done = {
    arrive: Effect.sync(() => port.arrive(`${port.offered.length}`)),
    recv: socket.recv,
    tryRecv: Effect.map(
      socket.tryRecv,
      Option.getOrElse(() => "nothing")
    ),
    send: Effect.as(socket.send("a"), "sent"),
    trySend: Effect.as(socket.trySend("a"), "sent")
  }[operation]
  return Effect.match(done as Effect.Effect<unknown, Zmq.Again | Zmq.Closed | Zmq.InvalidState>, {
    onFailure: ({ _tag }) => _tag,
    onSuccess: (value) => String(value)
  })
}

describe("In every sequence of 5 operations, each waits for its turn and ends it", () => {
  for (const [name, [open, rules]] of Object.entries(sockets)) {
    it.live(name, () =>
      Effect.gen(function* () {
        for (const sequence of sequencesOf(5)) {
          const opened = open()
          let turn = rules.first
          let there = 0
          let taken = 0
          for (const operation of sequence) {
            let expected = "undefined"
            if (operation === "arrive") {
              if (!rules.mayArrive(turn)) break
              there++
            } else if (operation === "send" || operation === "trySend") {
              expected = turn === "receive" ? "InvalidState" : "sent"
              if (turn !== "receive") turn = "receive"
            } else if (turn === "send") expected = "InvalidState"
            else if (taken < there) {
              expected = `${taken++}`
              turn = "send"
            } else {
              expected = operation === "recv" ? "Again" : "nothing"
              turn = rules.foundNothing(turn)
            }
            const got = yield* run(opened, operation)
            expect({ sequence, operation, got }).toEqual({ sequence, operation, got: expected })
          }
          expect(opened.port.violations).toEqual([])
        }
      })
    )
  }
})
