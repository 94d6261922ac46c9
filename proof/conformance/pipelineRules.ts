/** RFC 30, PUSH and PULL, and RFC 31, PAIR. */
import {
  blocksWithoutPeers,
  come,
  dealsOut,
  discardsForWhoLeft,
  discardsFromWhoLeft,
  discardsNothing,
  doesNotModifyIncoming,
  doesNotModifyOutgoing,
  heard,
  leavesOutWhoIsFull,
  queuesBeforeConnection,
  queuesFairly,
  rules
} from "./patterns.ts"
import { type Rule, same } from "./rules.ts"
import { message } from "./wire.ts"

const push = { rfc: 30, type: "push", peer: "pull" } as const
const pull = { rfc: 30, type: "pull", peer: "push" } as const
const pair = { rfc: 31, type: "pair", peer: "pair" } as const

export const pipelineRules: ReadonlyArray<Rule> = [
  doesNotModifyOutgoing(push),
  queuesBeforeConnection(push),
  discardsForWhoLeft(push),
  leavesOutWhoIsFull(push),
  dealsOut(push),
  blocksWithoutPeers(push),
  discardsNothing(push),
  rules(push, {
    level: "SHALL",
    rule: "only send messages: what a peer sends is not received, and does no harm",
    run: async (trial) => {
      const driver = await trial.drive()
      const wire = await come(trial, "pull")
      wire.send(message("hello"))
      await heard(wire)
      same(await driver.receive(), "wrong", "what was received")
      same(await driver.send("job"), "sent", "what was said of a message")
      same(await wire.message(), ["job"], "what came")
    }
  }),

  doesNotModifyIncoming(pull),
  queuesFairly(pull),
  discardsFromWhoLeft(pull),

  doesNotModifyOutgoing(pair),
  doesNotModifyIncoming(pair),
  queuesBeforeConnection(pair),
  discardsForWhoLeft(pair),
  blocksWithoutPeers(pair),
  discardsNothing(pair),
  rules(pair, {
    level: "SHALL",
    rule: "receive incoming messages from its single peer: it is connected to one at most",
    run: async (trial) => {
      const driver = await trial.drive()
      const one = await come(trial, "pair")
      await heard(one)
      one.send(message("1"))
      same(await driver.receive(), ["1"], "what was received")
      const other = await trial.dial()
      other.send(message("never"))
      await come(trial, "pair").then(
        (wire) => wire.send(message("never")),
        () => {}
      )
      one.send(message("2"))
      await heard(one)
      same(await driver.receive(), ["2"], "what was received")
      same(await driver.send("3"), "sent", "what was said of a message")
      same(await one.message(), ["3"], "what came to the one who came first")
    }
  })
]
