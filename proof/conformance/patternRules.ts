/** What the patterns do on the wire: RFC 37 and 29 of subscriptions, RFC 28 of envelopes. */
import { check, type Rule, same } from "./rules.ts"
import { command, greeting, message, property, type Wire } from "./wire.ts"

const base = { rfc: 37, mechanism: "NULL" } as const

const shake = async (wire: Wire, type: string, minor = 1): Promise<void> => {
  wire.send(greeting({ minor }), command("READY", property("Socket-Type", type)))
  await wire.read(64, "the greeting")
  await wire.command("READY")
}

/** Publishes by way of the subject, and gives what comes. */
const publish = async (wire: Wire, ...topics: ReadonlyArray<string>): Promise<Array<string>> => {
  for (const topic of topics) wire.send(message(topic))
  return wire.message()
}

export const patternRules: ReadonlyArray<Rule> = [
  {
    ...base,
    kind: "sub",
    section: "The Publish-Subscribe Pattern",
    level: "SHALL",
    rule: "to subscribe a SUB sends SUBSCRIBE, and CANCEL to cancel",
    run: async ({ accept }) => {
      const wire = await accept()
      await shake(wire, "PUB")
      same((await wire.command("SUBSCRIBE")).toString(), "A", "the subscription")
      wire.send(message("A1"))
      same((await wire.command("CANCEL")).toString(), "A", "the subscription")
    }
  },
  {
    ...base,
    rfc: 23,
    kind: "sub",
    section: "The Publish-Subscribe Pattern",
    level: "SHALL",
    rule: "to who speaks 3.0 a SUB subscribes and cancels by messages",
    run: async ({ accept }) => {
      const wire = await accept()
      await shake(wire, "PUB", 0)
      same(await wire.message(), ["\x01A"], "the subscription")
      wire.send(message("A1"))
      same(await wire.message(), ["\0A"], "the subscription")
    }
  },
  {
    ...base,
    kind: "xpub",
    section: "The Publish-Subscribe Pattern",
    level: "SHALL",
    rule: "filtering happens at the publisher: a subscription matches what begins with it",
    run: async ({ dial }) => {
      const wire = await dial()
      await shake(wire, "XSUB")
      wire.send(command("SUBSCRIBE", "AB"))
      same(await publish(wire, "A", "B", "AAB", "ABC"), ["ABC"], "what came first")
      same(await publish(wire, "A", "AB"), ["AB"], "what came next")
    }
  },
  {
    ...base,
    rfc: 23,
    kind: "xpub",
    section: "The Publish-Subscribe Pattern",
    level: "SHALL",
    rule: "a publisher takes subscriptions by messages",
    run: async ({ dial }) => {
      const wire = await dial()
      await shake(wire, "XSUB", 0)
      wire.send(message("\x01A"))
      same(await publish(wire, "B", "A"), ["A"], "what came first")
      wire.send(message("\0A"), message("\x01C"))
      same(await publish(wire, "A", "C"), ["C"], "what came next")
    }
  },
  {
    ...base,
    kind: "xpub",
    section: "The Publish-Subscribe Pattern",
    level: "SHALL",
    rule: "an empty subscription matches all messages",
    run: async ({ dial }) => {
      const wire = await dial()
      await shake(wire, "XSUB")
      wire.send(command("SUBSCRIBE", ""))
      same(await publish(wire, "B"), ["B"], "what came")
    }
  },
  {
    ...base,
    kind: "xpub",
    section: "The Publish-Subscribe Pattern",
    level: "SHALL NOT",
    rule: "subscriptions are idempotent: two need two CANCELs",
    libzmq: "counts one for each peer, and has its own SUB send the first and the last alone",
    zmtp: "counts one for each peer, as libzmq does",
    isSlow: true,
    run: async ({ dial }) => {
      const wire = await dial()
      await shake(wire, "XSUB")
      wire.send(command("SUBSCRIBE", "A"), command("SUBSCRIBE", "A"), command("CANCEL", "A"))
      same(await publish(wire, "A"), ["A"], "what came")
      wire.send(command("CANCEL", "A"), command("SUBSCRIBE", "Z"))
      same(await publish(wire, "A", "Z"), ["Z"], "what came next")
    }
  },
  {
    ...base,
    kind: "xpub",
    section: "The Publish-Subscribe Pattern",
    level: "SHALL",
    rule: "subscriptions are additive, and a message that matches two comes once",
    run: async ({ dial }) => {
      const wire = await dial()
      await shake(wire, "XSUB")
      wire.send(command("SUBSCRIBE", "A"), command("SUBSCRIBE", ""))
      same(await publish(wire, "A1"), ["A1"], "what came")
      same(await publish(wire, "B2"), ["B2"], "what came next")
    }
  },
  {
    ...base,
    rfc: 28,
    kind: "req",
    section: "The REQ Socket Type",
    level: "SHALL",
    rule: "prefix the outgoing message with an empty delimiter frame",
    run: async ({ accept }) => {
      const wire = await accept()
      await shake(wire, "ROUTER")
      same(await wire.message(), ["", "hello"], "the request")
      wire.send(message("", "reply"))
      same(await wire.message(), ["", "reply"], "the next request")
    }
  },
  {
    ...base,
    rfc: 28,
    kind: "rep",
    section: "The REP Socket Type",
    level: "SHALL",
    rule: "remove the address envelope of a request, and prepend it to the reply",
    run: async ({ dial }) => {
      const wire = await dial()
      await shake(wire, "DEALER")
      for (const envelope of [[""], ["one", ""], ["one", "two", ""]]) {
        wire.send(message(...envelope, "data", "", "more"))
        same(await wire.message(), [...envelope, "data", "", "more"], "the reply")
      }
    }
  },
  {
    ...base,
    rfc: 28,
    kind: "echo",
    section: "The ROUTER Socket Type",
    level: "SHALL",
    rule: "identify each peer, and route by the first frame, which is removed",
    run: async ({ dial }) => {
      const [one, other] = [await dial(), await dial()]
      await shake(one, "DEALER")
      await shake(other, "DEALER")
      one.send(message("1"))
      other.send(message("2"))
      const [a, b] = [await one.message(), await other.message()]
      same([a.length, a[1], b.length, b[1]], [2, "1", 2, "2"], "what came back")
      check(a[0] !== b[0], "both have the same routing id")
    }
  }
]
