/** RFC 28: REQ, REP, DEALER and ROUTER. */
import {
  blocksWithoutPeers,
  come,
  dealsOut,
  discardsForWhoLeft,
  discardsNothing,
  doesNotModifyIncoming,
  doesNotModifyOutgoing,
  heard,
  leavesOutWhoIsFull,
  nextTurn,
  odd,
  queuesBeforeConnection,
  queuesFairly,
  rules,
  sendOn,
  shake
} from "./patterns.ts"
import { check, type Rule, same } from "./rules.ts"
import { message, property } from "./wire.ts"

const req = { rfc: 28, type: "req", peer: "rep" } as const
const rep = { rfc: 28, type: "rep", peer: "req" } as const
const dealer = { rfc: 28, type: "dealer", peer: "dealer" } as const
const router = { rfc: 28, type: "router", peer: "dealer" } as const

const large = "x".repeat(256 * 1024)

export const requestRules: ReadonlyArray<Rule> = [
  rules(req, {
    level: "SHALL",
    rule: "send and then receive exactly one message at a time",
    run: async (trial) => {
      const driver = await trial.drive()
      const wire = await come(trial, "rep")
      await sendOn(driver, "1")
      same(await driver.send("2"), "wrong", "what was said of a second request")
      same(await wire.message(), ["", "1"], "what came")
      wire.send(message("", "one"), message("", "too many"))
      same(await driver.receive(), ["one"], "what was received")
      await sendOn(driver, "3")
      same(await wire.message(), ["", "3"], "what came")
      wire.send(message("", "three"))
      same(await driver.receive(), ["three"], "what was received")
    }
  }),
  rules(req, {
    level: "SHALL",
    rule: "route outgoing messages to connected peers using a round-robin strategy",
    run: async (trial) => {
      const driver = await trial.drive()
      const wires = [await come(trial, "rep"), await come(trial, "rep")]
      for (const wire of wires) await heard(wire)
      const asked: Array<number> = []
      let isOver = false
      const serving = wires.map(async (wire, i) => {
        while (!isOver) {
          const found = await wire.message().catch(() => undefined)
          if (found === undefined) return
          asked.push(i)
          wire.send(message("", "ok"))
        }
      })
      // Until it knows of both.
      for (let i = 0; i < 1000 && new Set(asked).size < 2; i++) {
        await sendOn(driver, "warm")
        await driver.receive()
        await nextTurn()
      }
      asked.length = 0
      for (let i = 0; i < 4; i++) {
        await sendOn(driver, "ask")
        await driver.receive()
      }
      isOver = true
      for (const wire of wires) wire.close()
      await Promise.all(serving)
      check(["0,1,0,1", "1,0,1,0"].includes(asked.join()), `the requests went to ${asked}`)
    }
  }),
  queuesBeforeConnection(req),
  blocksWithoutPeers(req),
  rules(req, {
    level: "SHALL",
    rule: "accept an incoming message only from the last peer that it sent a request to, and discard those of others",
    run: async (trial) => {
      const driver = await trial.drive()
      const wires = [await come(trial, "rep"), await come(trial, "rep")] as const
      for (const wire of wires) await heard(wire)
      await sendOn(driver, "question")
      const asked = await Promise.any(wires.map((wire, i) => wire.message().then(() => i)))
      const other = wires[(1 - asked) as 0 | 1]
      other.send(message("", "not asked"))
      // The answer comes after that.
      await nextTurn()
      wires[asked]!.send(message("", "answer"))
      same(await driver.receive(), ["answer"], "what was received")
    }
  }),

  rules(rep, {
    level: "SHALL",
    rule: "receive and then send exactly one message at a time",
    run: async (trial) => {
      const driver = await trial.drive()
      const wire = await come(trial, "req")
      same(await driver.send("too early"), "wrong", "what was said of a reply to nobody")
      wire.send(message("", "1"))
      same(await driver.receive(), ["1"], "what was received")
      await sendOn(driver, "one")
      same(await driver.send("too many"), "wrong", "what was said of a second reply")
      same(await wire.message(), ["", "one"], "what came")
    }
  }),
  rules(rep, {
    level: "SHALL NOT",
    rule: "filter or modify outgoing or incoming messages in any way",
    run: async (trial) => {
      const driver = await trial.drive()
      const wire = await come(trial, "dealer")
      wire.send(message("", ...odd))
      same(await driver.receive(), odd, "what was received")
      await sendOn(driver, ...odd)
      same(await wire.message(), ["", ...odd], "what came")
    }
  }),
  queuesFairly(rep),
  rules(rep, {
    level: "SHALL",
    rule: "deliver a reply to the originating peer",
    run: async (trial) => {
      const driver = await trial.drive()
      const [one, other] = [await come(trial, "dealer"), await come(trial, "dealer")]
      one.send(message("a", "b", "", "1"))
      same(await driver.receive(), ["1"], "what was received")
      other.send(message("", "2"))
      await heard(other)
      await sendOn(driver, "one")
      same(await one.message(), ["a", "b", "", "one"], "what came to the first")
      same(await driver.receive(), ["2"], "what was received")
      await sendOn(driver, "two")
      same(await other.message(), ["", "two"], "what came to the other")
    }
  }),
  rules(rep, {
    level: "SHALL",
    rule: "silently discard the reply, or return an error, if the originating peer is no longer connected",
    run: async (trial) => {
      const driver = await trial.drive()
      const gone = await come(trial, "req")
      gone.send(message("", "1"))
      same(await driver.receive(), ["1"], "what was received")
      gone.close()
      const wire = await come(trial, "req")
      wire.send(message("", "2"))
      await heard(wire)
      await driver.send("for nobody")
      same(await driver.receive(), ["2"], "what was received")
      await sendOn(driver, "two")
      same(await wire.message(), ["", "two"], "what came")
    }
  }),
  rules(rep, {
    level: "SHALL NOT",
    rule: "block on sending",
    run: async (trial) => {
      const driver = await trial.drive()
      const full = await come(trial, "dealer")
      full.pause()
      for (let i = 0; i < 100; i++) {
        full.send(message("", String(i)))
        same(await driver.receive(), [String(i)], "what was received")
        check((await driver.send(large)) !== "full", "a reply has to wait for a client that does not read")
      }
      const wire = await come(trial, "req")
      wire.send(message("", "other"))
      same(await driver.receive(), ["other"], "what was received")
      await sendOn(driver, "ok")
      same(await wire.message(), ["", "ok"], "what came")
    }
  }),

  doesNotModifyOutgoing(dealer),
  doesNotModifyIncoming(dealer),
  queuesBeforeConnection(dealer),
  discardsForWhoLeft(dealer),
  leavesOutWhoIsFull(dealer),
  dealsOut(dealer),
  blocksWithoutPeers(dealer),
  discardsNothing(dealer),
  queuesFairly(dealer),

  queuesFairly(router),
  discardsForWhoLeft(router, ["peer"]),
  rules(router, {
    level: "SHALL",
    rule: "prefix each incoming message with the identity of its peer, and route by the first frame, which is removed",
    run: async (trial) => {
      const driver = await trial.drive()
      const wires = [await come(trial, "dealer"), await come(trial, "dealer")] as const
      for (const wire of wires) {
        wire.send(message(...odd))
        const [id, ...rest] = await driver.receive()
        check(id !== undefined && id.length > 0, "an empty identity")
        same(rest, odd, "what was received")
        await sendOn(driver, id, ...odd)
        same(await wire.message(), odd, "what came")
      }
    }
  }),
  rules(router, {
    level: "SHOULD",
    rule: "allow the peer to specify its identity through the Identity metadata property",
    run: async (trial) => {
      const driver = await trial.drive()
      const wire = await come(trial, "dealer", property("Identity", "me"))
      wire.send(message("hello"))
      same(await driver.receive(), ["me", "hello"], "what was received")
      await sendOn(driver, "me", "reply")
      same(await wire.message(), ["reply"], "what came")
    }
  }),
  rules(router, {
    level: "SHALL",
    rule: "either silently drop the message, or return an error, if the queue does not exist",
    run: async (trial) => {
      const driver = await trial.drive()
      const wire = await come(trial, "dealer", property("Identity", "me"))
      await heard(wire)
      check((await driver.send("nobody", "lost")) !== "full", "a message to nobody waits")
      await sendOn(driver, "me", "found")
      same(await wire.message(), ["found"], "what came")
    }
  }),
  rules(router, {
    level: "SHALL NOT",
    rule: "block on sending: a queue that is full is in nobody else's way",
    run: async (trial) => {
      const driver = await trial.drive()
      const full = await come(trial, "dealer", property("Identity", "full"))
      const other = await come(trial, "dealer", property("Identity", "other"))
      for (const wire of [full, other]) await heard(wire)
      full.pause()
      for (let i = 0; i < 100; i++) await driver.send("full", large)
      await sendOn(driver, "other", "hello")
      same(await other.message(), ["hello"], "what came")
    }
  }),
  rules(router, {
    level: "SHALL",
    rule: "identify each double queue by an identity that is unique: who comes with one in use has not that one",
    run: async (trial) => {
      const driver = await trial.drive()
      const first = await come(trial, "dealer", property("Identity", "me"))
      await heard(first)
      const second = await trial.dial()
      await shake(second, "dealer", property("Identity", "me")).catch(() => {})
      second.send(message("from the second"))
      await sendOn(driver, "me", "hello")
      same(await first.message(), ["hello"], "what came to the first")
    }
  })
]
