/** RFC 29: PUB, XPUB, SUB and XSUB. */
import {
  come,
  discardsForWhoLeft,
  doesNotModifyIncoming,
  doesNotModifyOutgoing,
  heard,
  neverBlocks,
  nextTurn,
  type Of,
  queuesFairly,
  rules,
  sendOn,
  shake
} from "./patterns.ts"
import { check, type Rule, same } from "./rules.ts"
import { command, message } from "./wire.ts"

const pub = { rfc: 29, type: "pub", peer: "sub" } as const
const xpub = { rfc: 29, type: "xpub", peer: "xsub" } as const
const sub = { rfc: 29, type: "sub", peer: "pub" } as const
const xsub = { rfc: 29, type: "xsub", peer: "xpub" } as const

const filters = (of: Of): Rule =>
  rules(of, {
    level: "SHALL",
    rule: "perform a binary comparison of the subscription against the start of the first frame",
    run: async (trial) => {
      const driver = await trial.drive()
      const wire = await trial.dial()
      await shake(wire, of.peer)
      wire.send(command("SUBSCRIBE", "\xff\0\x80"))
      await heard(wire)
      let isOver = false
      const first = wire.message().finally(() => {
        isOver = true
      })
      first.catch(() => {})
      // Until the subscription is known.
      for (; !isOver; await nextTurn())
        for (const frames of [["\xff\0"], ["\xff\0\x81"], ["", "\xff\0\x80"], ["\x7f\0\x80"], ["\xff\0\x80", "yes"]])
          await sendOn(driver, ...frames)
      same(await first, ["\xff\0\x80", "yes"], "what came first")
    }
  })

const large = "x".repeat(256 * 1024)

const dropsWhenFull = (of: Of): Rule =>
  rules(of, {
    level: "SHALL",
    rule: "silently discard messages if the incoming queue for a publisher is full",
    libzmq: "reads nothing more from it until there is room",
    zmtp: "reads nothing more from it until there is room, as libzmq does: it is the publisher who drops",
    isSlow: true,
    run: async (trial) => {
      await trial.drive()
      const wire = await come(trial, of.peer)
      for (let i = 0; i < 200; i++) wire.send(message(large))
      await heard(wire)
    }
  })

export const publishRules: ReadonlyArray<Rule> = [
  doesNotModifyOutgoing(pub),
  filters(pub),
  neverBlocks(pub),
  discardsForWhoLeft(pub),
  rules(pub, {
    level: "SHALL",
    rule: "silently discard any messages that subscribers send it",
    run: async (trial) => {
      const driver = await trial.drive()
      const wire = await come(trial, "xsub")
      wire.send(message("hello"), message("several", "frames"))
      await heard(wire)
      same(await driver.receive(), "wrong", "what was received")
      await sendOn(driver, "news")
      same(await wire.message(), ["news"], "what came")
    }
  }),

  doesNotModifyOutgoing(xpub),
  filters(xpub),
  neverBlocks(xpub),
  discardsForWhoLeft(xpub),
  rules(xpub, {
    level: "SHALL",
    rule: "deliver to its application what subscribers send, by fair queuing, and what they subscribe to",
    libzmq: "keeps it all in one queue, in the order in which it came",
    zmtp: "keeps it all in one queue, in the order in which it came, as libzmq does: what one ends before another begins it has ended before",
    run: async (trial) => {
      const driver = await trial.drive()
      const [one, other] = [await trial.dial(), await trial.dial()]
      for (const wire of [one, other]) await shake(wire, "xsub")
      one.send(command("SUBSCRIBE", "A"), message("hello"), message("2"), message("3"), command("CANCEL", "A"))
      await heard(one)
      other.send(message("other"))
      await heard(other)
      const found: Array<string> = []
      for (let i = 0; i < 6; i++) found.push((await driver.receive())[0]!)
      same(
        found.filter((text) => text !== "other"),
        ["\x01A", "hello", "2", "3", "\0A"],
        "what was received of one"
      )
      check(found.at(-1) !== "other", "the one message of a peer was received after all of another")
    }
  }),
  rules(xpub, {
    level: "SHALL",
    rule: "generate a suitable unsubscribe request, if the subscriber peer disconnects prematurely",
    run: async (trial) => {
      const driver = await trial.drive()
      const wire = await trial.dial()
      await shake(wire, "sub")
      wire.send(command("SUBSCRIBE", "A"))
      same(await driver.receive(), ["\x01A"], "what was received")
      wire.close()
      same(await driver.receive(), ["\0A"], "what was received when it had left")
    }
  }),

  doesNotModifyIncoming(sub),
  rules(sub, {
    level: "SHALL",
    rule: "receive incoming messages from its publishers using a fair-queuing strategy",
    run: async (trial) => {
      const driver = await trial.drive()
      const [loud, quiet] = [await come(trial, "pub"), await come(trial, "pub")]
      for (let i = 0; i < 5; i++) loud.send(message(`loud ${i}`))
      await heard(loud)
      quiet.send(message("quiet"))
      await heard(quiet)
      const found: Array<string> = []
      for (let i = 0; i < 6; i++) found.push((await driver.receive())[0]!)
      check(found.at(-1) !== "quiet", `the one message of a peer was received after all of another: ${found}`)
    }
  }),
  dropsWhenFull(sub),

  rules(xsub, {
    level: "SHALL NOT",
    rule: "modify incoming messages in any way",
    run: doesNotModifyIncoming(xsub).run
  }),
  queuesFairly(xsub),
  dropsWhenFull(xsub),
  doesNotModifyOutgoing(xsub),
  neverBlocks(xsub),
  rules(xsub, {
    level: "SHALL",
    rule: "send all messages to all connected publishers",
    run: async (trial) => {
      const driver = await trial.drive()
      const wires = [await come(trial, "xpub"), await come(trial, "pub")]
      for (const wire of wires) await heard(wire)
      let waiting = 2
      const firsts = Promise.all(wires.map((wire) => wire.message().then(() => waiting--)))
      firsts.catch(() => {})
      for (let i = 0; waiting > 0; i++) {
        await sendOn(driver, String(i))
        await nextTurn()
      }
      await firsts
      await sendOn(driver, "last", "")
      for (const wire of wires) {
        let found = await wire.message()
        while (found.length === 1) found = await wire.message()
        same(found, ["last", ""], "what came to each")
      }
    }
  }),
  rules(xsub, {
    level: "SHALL",
    rule: "accept subscription commands from its application, and send them to publishers, of now and to come",
    libzmq: "sends them as messages, as ZMTP 3.0 has it",
    run: async (trial) => {
      const driver = await trial.drive()
      const wire = await come(trial, "xpub")
      await heard(wire)
      await sendOn(driver, "\x01A")
      same((await wire.command("SUBSCRIBE")).toString(), "A", "the subscription")
      const late = await come(trial, "pub")
      same((await late.command("SUBSCRIBE")).toString(), "A", "the subscription")
      await sendOn(driver, "\0A")
      for (const one of [wire, late]) same((await one.command("CANCEL")).toString(), "A", "the cancellation")
    }
  })
]
