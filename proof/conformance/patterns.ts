/** What rules of several patterns have in common: each is one that a type of socket has, tried with a type of peer. */
import { check, type Rule, same, type Trial } from "./rules.ts"
import type { Driven, Driver } from "./subject.ts"
import { command, commandBody, greeting, message, property, type Wire } from "./wire.ts"

export const shake = async (wire: Wire, type: string, ...more: ReadonlyArray<Buffer>): Promise<void> => {
  wire.send(greeting(), command("READY", property("Socket-Type", type.toUpperCase()), ...more))
  await wire.read(64, "the greeting")
  await wire.command("READY")
}

/** A peer that has come, and that the subject knows of. */
export const come = async ({ dial }: Trial, type: string, ...more: ReadonlyArray<Buffer>): Promise<Wire> => {
  const wire = await dial()
  await shake(wire, type, ...more)
  if (type === "sub" || type === "xsub") wire.send(command("SUBSCRIBE", ""))
  return wire
}

/** All that was sent before has been read. What else comes meanwhile is not looked at. */
export const heard = async (wire: Wire): Promise<void> => {
  wire.send(command("PING", "\0\0", "heard"))
  while (!(await wire.frame("PONG")).body.equals(commandBody("PONG", "heard"))) {}
}

export const nextTurn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1))

const patience = 10_000

/** Sends as soon as there is room. */
export const sendOn = async (driver: Driver, ...frames: ReadonlyArray<string>): Promise<void> => {
  for (const end = performance.now() + patience; ; await nextTurn()) {
    if ((await driver.send(...frames)) === "sent") return
    check(performance.now() < end, `${JSON.stringify(frames.map((frame) => frame.slice(0, 20)))} could not be sent`)
  }
}

/** Octets that whoever looks into messages would trip over. */
export const odd = ["", "\0\xff\n", "x".repeat(300), "\x01", ""]
const large = "x".repeat(256 * 1024)

/** Sends until there is no room, and some more of the kernel's is full. Gives how many were sent. */
const fill = async (driver: Driver, head: ReadonlyArray<string>): Promise<number> => {
  let count = 0
  for (let refused = 0; refused < 20; ) {
    if ((await driver.send(...head, String(count), large)) === "sent") {
      count++
      refused = 0
      check(count < 1000, "1,000 messages of 256 KiB were taken for a peer that reads nothing")
    } else {
      refused++
      await nextTurn()
    }
  }
  return count
}

export interface Of {
  readonly rfc: Rule["rfc"]
  readonly type: Driven
  readonly peer: Driven
}

const ruleOf = ({ rfc, type }: Of, rest: Pick<Rule, "level" | "rule" | "run"> & Partial<Rule>): Rule => ({
  rfc,
  section: `The ${type.toUpperCase()} Socket Type`,
  kind: `driven ${type}`,
  mechanism: "NULL",
  ...rest
})

/** What stands before what is sent. */
const headOf = ({ type }: Of): ReadonlyArray<string> => (type === "req" ? [""] : [])

export const doesNotModifyOutgoing = (of: Of): Rule =>
  ruleOf(of, {
    level: "SHALL NOT",
    rule: "filter or modify outgoing messages in any way",
    run: async (trial) => {
      const driver = await trial.drive()
      const wire = await come(trial, of.peer)
      await heard(wire)
      // An XSUB may refuse what an XPUB of libzmq would take for a subscription.
      const frames = of.type === "xsub" ? odd.filter((frame) => frame === "" || frame > "\x01z") : odd
      await sendOn(driver, ...frames)
      same(await wire.message(), frames, "what came")
      await sendOn(driver, "")
      same(await wire.message(), [""], "what came")
    }
  })

export const doesNotModifyIncoming = (of: Of): Rule =>
  ruleOf(of, {
    level: "SHALL NOT",
    rule: "filter or modify incoming messages in any way",
    run: async (trial) => {
      const driver = await trial.drive()
      const wire = await come(trial, of.peer)
      wire.send(message(...odd), message(""))
      same(await driver.receive(), odd, "what was received")
      same(await driver.receive(), [""], "what was received")
    }
  })

export const queuesBeforeConnection = (of: Of): Rule =>
  ruleOf(of, {
    level: "SHALL",
    rule: "create a queue when initiating an outgoing connection, and maintain it whether or not that is established",
    run: async ({ driveTo, listen }) => {
      const gone = await listen()
      gone.close()
      const driver = await driveTo(gone.endpoint)
      same(await driver.send("early"), "sent", "what was said of a message for a peer that is not there")
      const wire = await (await listen(gone.endpoint)).next()
      await shake(wire, of.peer)
      same(await wire.message(), [...headOf(of), "early"], "what came")
    }
  })

export const blocksWithoutPeers = (of: Of): Rule =>
  ruleOf(of, {
    level: "SHALL",
    rule: "block on sending, or return a suitable error, when it has no available peers",
    run: async (trial) => {
      const driver = await trial.drive()
      same(await driver.send("early"), "full", "what was said of a message without peers")
      const wire = await come(trial, of.peer)
      await sendOn(driver, "late")
      same(await wire.message(), [...headOf(of), "late"], "what came")
    }
  })

export const discardsForWhoLeft = (of: Of, head: ReadonlyArray<string> = []): Rule =>
  ruleOf(of, {
    level: "SHALL",
    rule: "destroy the queue of a peer that disconnects, and discard the messages in it",
    ...(of.type === "pair" || of.type === "router"
      ? { libzmq: "lets nobody else have its place before its application receives, and finds that the peer has left" }
      : {}),
    run: async (trial) => {
      const driver = await trial.drive()
      const named = head.length === 0 ? [] : [property("Identity", head[0]!)]
      const gone = await come(trial, of.peer, ...named)
      await heard(gone)
      gone.pause()
      // A ROUTER, or a PUB, never says that it has no room.
      for (let i = 0; i < 100; i++) await driver.send(...head, "old", large)
      gone.close()
      for (const end = performance.now() + patience; ; ) {
        check(performance.now() < end, "nobody else could take the place of a peer that has left")
        const wire = await come(trial, of.peer, ...named).catch(() => undefined)
        if (wire === undefined) continue
        let isOver = false
        const first = wire.message().catch(() => undefined)
        void first.then(() => {
          isOver = true
        })
        while (!isOver) {
          await driver.send(...head, "new")
          await nextTurn()
        }
        // It came before the other had left.
        const found = await first
        if (found === undefined) continue
        same(found, ["new"], "what the next peer got first")
        return
      }
    }
  })

/** Two peers that both get messages. What comes first to each is read. */
const warm = async (driver: Driver, wires: ReadonlyArray<Wire>): Promise<void> => {
  let waiting = wires.length
  const firsts = Promise.all(wires.map((wire) => wire.message().then(() => waiting--)))
  firsts.catch(() => {})
  while (waiting > 0) {
    await sendOn(driver, "warm")
    await nextTurn()
  }
  await firsts
}

const afterWarm = async (wire: Wire): Promise<Array<string>> => {
  for (;;) {
    const found = await wire.message()
    if (found[0] !== "warm") return found
  }
}

export const dealsOut = (of: Of): Rule =>
  ruleOf(of, {
    level: "SHALL",
    rule: "route outgoing messages to available peers using a round-robin strategy",
    run: async (trial) => {
      const driver = await trial.drive()
      const wires = [await come(trial, of.peer), await come(trial, of.peer)] as const
      await warm(driver, wires)
      for (const number of ["1", "2", "3", "4"]) await sendOn(driver, number)
      const found = await Promise.all(wires.map(async (wire) => [await afterWarm(wire), await afterWarm(wire)].join()))
      same(found.toSorted(), ["1,3", "2,4"], "what came to each")
    }
  })

export const leavesOutWhoIsFull = (of: Of): Rule =>
  ruleOf(of, {
    level: "SHALL",
    rule: "consider a peer as available only when it has an outgoing queue that is not full",
    run: async (trial) => {
      const driver = await trial.drive()
      const [full, other] = [await come(trial, of.peer), await come(trial, of.peer)]
      await warm(driver, [full, other])
      full.pause()
      let count = 0
      const reading = (async () => {
        while ((await afterWarm(other))[0] !== "end") count++
      })()
      reading.catch(() => {})
      for (let i = 0; i < 200; i++) await sendOn(driver, String(i), large)
      // One for each, if there should be room.
      await sendOn(driver, "end")
      await sendOn(driver, "end")
      await reading
      check(count > 100, `only ${count} of 200 messages came to the one that reads`)
    }
  })

export const discardsNothing = (of: Of, head: ReadonlyArray<string> = []): Rule =>
  ruleOf(of, {
    level: "SHALL NOT",
    rule: "discard messages that it cannot queue",
    run: async (trial) => {
      const driver = await trial.drive()
      const wire = await come(trial, of.peer)
      await heard(wire)
      wire.pause()
      const count = await fill(driver, head)
      wire.readOn()
      for (let i = 0; i < count; i++) {
        const found = await wire.message()
        same([found[0], found[1]?.length], [String(i), large.length], `message ${i}`)
      }
      await sendOn(driver, ...head, "end")
      same(await wire.message(), ["end"], "what came last")
    }
  })

export const queuesFairly = (of: Of): Rule =>
  ruleOf(of, {
    level: "SHALL",
    rule: "receive incoming messages from its peers using a fair-queuing strategy",
    run: async (trial) => {
      const driver = await trial.drive()
      const [loud, quiet] = [await come(trial, of.peer), await come(trial, of.peer)]
      const say = (text: string) => (of.type === "rep" ? message("", text) : message(text))
      for (let i = 0; i < 5; i++) loud.send(say(`loud ${i}`))
      await heard(loud)
      quiet.send(say("quiet"))
      await heard(quiet)
      const found: Array<string> = []
      for (let i = 0; i < 6; i++) {
        const received = await driver.receive()
        found.push(received.at(-1)!)
        if (of.type === "rep") same(await driver.send("ok"), "sent", `what was said of a reply to ${found}`)
      }
      check(found.at(-1) !== "quiet", `the one message of a peer was received after all of another: ${found}`)
      same(found.toSorted(), ["loud 0", "loud 1", "loud 2", "loud 3", "loud 4", "quiet"], "what was received")
    }
  })

export const discardsFromWhoLeft = (of: Of): Rule =>
  ruleOf(of, {
    level: "SHALL",
    rule: "destroy the incoming queue of a peer that disconnects, and discard the messages in it",
    libzmq: "delivers what had come",
    zmtp: "delivers what had come, as libzmq does: a PUSH that has sent and ends has not sent for nothing",
    run: async (trial) => {
      const driver = await trial.drive()
      const gone = await come(trial, of.peer)
      gone.send(message("old"))
      await heard(gone)
      gone.close()
      const wire = await come(trial, of.peer)
      wire.send(message("new"))
      await heard(wire)
      same(await driver.receive(), ["new"], "what was received")
    }
  })

/** Subscribers or publishers that do not read do not keep the others from it. */
export const neverBlocks = (of: Of): Rule =>
  ruleOf(of, {
    level: "SHALL NOT",
    rule: "block on sending: drop the message, silently, for a peer whose queue is full",
    run: async (trial) => {
      const driver = await trial.drive()
      const [full, other] = [await come(trial, of.peer), await come(trial, of.peer)]
      for (const wire of [full, other]) await heard(wire)
      await warm(driver, [full, other])
      full.pause()
      for (let i = 0; i < 100; i++) {
        same(await driver.send(String(i), large), "sent", "what was said of a message")
        same((await afterWarm(other))[0], String(i), "what came to the one that reads")
      }
    }
  })

export const rules = ruleOf
