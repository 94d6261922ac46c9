/** RFC 26: CURVE. */
import type { Boxes } from "../../src/internal/zmtp/protocol/boxes.ts"
import { Curve, clientPublic, serverPublic } from "./curve.ts"
import { check, type Rule, same, type Trial } from "./rules.ts"
import { command, frame, greeting, properties, property, type Wire } from "./wire.ts"

const base = { rfc: 26, kind: "echo", mechanism: "CURVE" } as const
const client = { ...base, kind: "dealer" } as const

const greet = async (wire: Wire, asServer = 0): Promise<void> => {
  wire.send(greeting({ mechanism: "CURVE", asServer }))
  await wire.read(64, "the greeting")
}

/** As a client, up to the WELCOME of the server. */
const welcomed = async ({ boxes, dial }: Trial) => {
  const wire = await dial()
  const curve = new Curve(boxes)
  await greet(wire)
  wire.send(curve.hello())
  return { wire, curve, ...curve.readWelcome(await wire.command("WELCOME")) }
}

/** As a client, up to traffic. */
const connected = async (trial: Trial) => {
  const { cookie, curve, server, wire } = await welcomed(trial)
  wire.send(curve.initiate(server, cookie))
  const ready = curve.readReady(await wire.command("READY"), server)
  const echoes = async (text: string): Promise<void> => {
    wire.send(curve.message("C", server, text))
    curve.readMessage("S", await wire.frame("the routing id"), server)
    same(curve.readMessage("S", await wire.frame("the echo"), server).text, text, "what came back")
  }
  return { wire, curve, server, ready, echoes }
}

/** As a server, up to the HELLO of the client. */
const greeted = async ({ accept, boxes }: Trial) => greetedOn(await accept(), boxes)

const greetedOn = async (wire: Wire, boxes: Boxes) => {
  const curve = new Curve(boxes)
  await greet(wire, 1)
  return { wire, curve, ...curve.readHello(await wire.command("HELLO")) }
}

const cookie = Buffer.alloc(96, "c")

/** As a server, up to the INITIATE of the client. */
const initiated = async (trial: Trial) => {
  const { client, curve, nonce, wire } = await greeted(trial)
  wire.send(curve.welcome(client, cookie))
  return { wire, curve, client, helloNonce: nonce, ...curve.readInitiate(await wire.command("INITIATE"), client) }
}

/** As a server, up to traffic. */
const accepted = async (trial: Trial) => {
  const { client, curve, nonce, wire } = await initiated(trial)
  wire.send(curve.ready(client))
  const first = curve.readMessage("C", await wire.frame("the first message"), client)
  same(first.text, "hello", "the first message")
  return { wire, curve, client, initiateNonce: nonce, first }
}

const changed = (bytes: Buffer, at: number): Buffer => {
  const copy = Buffer.from(bytes)
  copy[at]! ^= 1
  return copy
}

const hello: ReadonlyArray<Rule> = [
  {
    ...client,
    section: "The HELLO Command",
    level: "SHALL",
    rule: "HELLO has 200 octets, version 1.0, padding of zeros, and zeros in a box from C' to S",
    run: async (trial) => void (await greeted(trial))
  },
  {
    ...client,
    section: "The HELLO Command",
    level: "SHALL",
    rule: "the client generates a unique key pair for each connection",
    run: async (trial) => {
      const again = await trial.comesAgain()
      const first = await greetedOn(await again.next(), trial.boxes)
      first.wire.close()
      const second = await greetedOn(await again.next(), trial.boxes)
      check(!first.client.equals(second.client), "it is the same")
    }
  },
  {
    ...base,
    section: "The HELLO Command",
    level: "SHALL",
    rule: "reject and disconnect who sends a HELLO of another size, version, key or signature",
    run: async ({ boxes, dial }) => {
      const curve = new Curve(boxes)
      const good = curve.hello()
      for (const bad of [
        frame(4, good.subarray(2, 201)),
        frame(4, Buffer.concat([good.subarray(2), Buffer.of(0)])),
        curve.hello({ version: Buffer.of(2, 0) }),
        curve.hello({ version: Buffer.of(1, 1) }),
        // C', the nonce, the box.
        changed(good, 2 + 80),
        changed(good, 2 + 112),
        changed(good, 2 + 199)
      ]) {
        const wire = await dial()
        await greet(wire)
        wire.send(bad)
        check((await wire.ended()).length === 0, "it was answered")
      }
    }
  },
  {
    ...base,
    section: "The HELLO Command",
    level: "SHALL",
    rule: "reject and disconnect who sends a HELLO with a padding that is not zero",
    libzmq: "does not look at it",
    run: async ({ boxes, dial }) => {
      const wire = await dial()
      await greet(wire)
      wire.send(new Curve(boxes).hello({ padding: Buffer.alloc(72, 1) }))
      check((await wire.ended()).length === 0, "it was answered")
    }
  },
  {
    ...base,
    section: "The HELLO Command",
    level: "SHALL",
    rule: "reject and disconnect who signs something else than zeros",
    libzmq: "does not look at what is in the box",
    run: async ({ boxes, dial }) => {
      const wire = await dial()
      await greet(wire)
      wire.send(new Curve(boxes).hello({ zeros: new Uint8Array(64).fill(1) }))
      check((await wire.ended()).length === 0, "it was answered")
    }
  }
]

const welcome: ReadonlyArray<Rule> = [
  {
    ...base,
    section: "The WELCOME Command",
    level: "SHALL",
    rule: "WELCOME has 168 octets, with S' and a cookie in a box from S to C'",
    run: async (trial) => void (await welcomed(trial))
  },
  {
    ...base,
    section: "The WELCOME Command",
    level: "SHALL",
    rule: "the server generates a new key pair and a new cookie for each WELCOME",
    run: async (trial) => {
      const first = await welcomed(trial)
      const second = await welcomed(trial)
      check(!first.server.equals(second.server), "the key is the same")
      check(!first.cookie.equals(second.cookie), "the cookie is the same")
      check(!first.cookie.subarray(0, 16).equals(second.cookie.subarray(0, 16)), "the nonce of the cookie is the same")
    }
  },
  {
    ...client,
    section: "The WELCOME Command",
    level: "SHALL",
    rule: "disconnect from a server that sends a malformed WELCOME, and send it no ERROR",
    run: async (trial) => {
      const bad: ReadonlyArray<(curve: Curve, client: Buffer) => Buffer> = [
        (curve, client) => changed(curve.welcome(client, cookie), 2 + 167),
        (curve, client) => changed(curve.welcome(client, cookie), 2 + 8),
        (curve, client) => frame(4, curve.welcome(client, cookie).subarray(2, 169)),
        (curve, client) => curve.welcome(client, Buffer.alloc(97)),
        // By somebody else than the server.
        (curve, client) => curve.welcome(client, cookie, curve.pair().secretKey)
      ]
      for (const make of bad) {
        const { client, curve, wire } = await greeted(trial)
        wire.send(make(curve, client))
        check((await wire.ended()).length === 0, "it was answered")
      }
    }
  }
]

const initiate: ReadonlyArray<Rule> = [
  {
    ...client,
    section: "The INITIATE Command",
    level: "SHALL",
    rule: "INITIATE has the cookie, C, a vouch for C' and S, and metadata",
    run: async (trial) => {
      const found = await initiated(trial)
      check(found.cookie.equals(cookie), "it is another cookie")
      check(found.permanent.equals(clientPublic), "it is another C")
      check(found.vouched.equals(Buffer.concat([found.client, serverPublic])), "it vouches for something else")
      const metadata = properties(found.metadata)
      same(metadata.get("socket-type"), "DEALER", "Socket-Type")
      same(metadata.get("identity"), "me", "Identity")
    }
  },
  {
    ...base,
    section: "The INITIATE Command",
    level: "SHALL",
    rule: "reject and disconnect who sends an INITIATE with another cookie, key, box or vouch",
    run: async (trial) => {
      const bad: ReadonlyArray<(good: Awaited<ReturnType<typeof welcomed>>) => Buffer> = [
        // A long frame: flags, 8 octets of size. The name, the nonce of the cookie, the cookie, the nonce, the box.
        ({ cookie, curve, server }) => changed(curve.initiate(server, cookie), 9 + 9),
        ({ cookie, curve, server }) => changed(curve.initiate(server, cookie), 9 + 9 + 95),
        ({ cookie, curve, server }) => changed(curve.initiate(server, cookie), 9 + 105 + 7),
        ({ cookie, curve, server }) => changed(curve.initiate(server, cookie), 9 + 113),
        ({ cookie, curve, server }) => frame(4, curve.initiate(server, cookie).subarray(9, 9 + 256)),
        ({ cookie, curve, server }) => curve.initiate(server, cookie, { vouchedBy: curve.pair().secretKey }),
        ({ cookie, curve, server }) =>
          curve.initiate(server, cookie, { vouched: Buffer.concat([curve.pair().publicKey, serverPublic]) })
      ]
      for (const make of bad) {
        const good = await welcomed(trial)
        good.wire.send(make(good))
        check((await good.wire.ended()).length === 0, "it was answered")
      }
    }
  },
  {
    ...base,
    section: "The INITIATE Command",
    level: "SHALL",
    rule: "reject and disconnect who vouches for another server",
    libzmq: "does not look at S in the vouch",
    run: async (trial) => {
      const { cookie, curve, server, wire } = await welcomed(trial)
      wire.send(
        curve.initiate(server, cookie, { vouched: Buffer.concat([curve.transient.publicKey, curve.pair().publicKey]) })
      )
      check((await wire.ended()).length === 0, "it was answered")
    }
  },
  {
    ...base,
    section: "The INITIATE Command",
    level: "SHALL",
    rule: "reject and disconnect who sends malformed metadata",
    run: async (trial) => {
      for (const metadata of ["\x0bSocket-Type\0\0\0\x07DEALER", "\x0bSocket-Type\0\0", "\xffX"]) {
        const { cookie, curve, server, wire } = await welcomed(trial)
        wire.send(curve.initiate(server, cookie, { metadata: Buffer.from(metadata, "latin1") }))
        await wire.ended()
      }
    }
  },
  {
    ...base,
    section: "The INITIATE Command",
    level: "SHALL",
    rule: "a cookie is good on its connection alone",
    run: async (trial) => {
      const one = await welcomed(trial)
      const other = await welcomed(trial)
      other.wire.send(other.curve.initiate(other.server, one.cookie))
      check((await other.wire.ended()).length === 0, "it was answered")
    }
  },
  {
    ...base,
    section: "The HELLO Command",
    level: "SHALL",
    rule: "verify that the short nonces of a client rise, and disconnect who reuses one: in INITIATE",
    libzmq: "compares those of MESSAGE alone",
    run: async (trial) => {
      const { cookie, curve, server, wire } = await welcomed(trial)
      wire.send(curve.initiate(server, cookie, { nonce: 1n }))
      check((await wire.ended()).length === 0, "it was answered")
    }
  }
]

const ready: ReadonlyArray<Rule> = [
  {
    ...base,
    section: "The READY Command",
    level: "SHALL",
    rule: "READY has metadata in a box from S' to C'",
    run: async (trial) => {
      const { echoes, ready } = await connected(trial)
      same(properties(ready.metadata).get("socket-type"), "ROUTER", "Socket-Type")
      await echoes("hello")
    }
  },
  {
    ...client,
    section: "The READY Command",
    level: "SHALL",
    rule: "disconnect from a server that sends a malformed READY; a client never sends ERROR",
    run: async (trial) => {
      const bad: ReadonlyArray<(curve: Curve, client: Buffer) => Buffer> = [
        (curve, client) => changed(curve.ready(client), 2 + 14),
        (curve, client) => changed(curve.ready(client), 2 + 6),
        (curve, client) => frame(4, curve.ready(client).subarray(2, 31)),
        (curve, client) => curve.ready(client, Buffer.from("\x0bSocket-Type\0\0", "latin1"))
      ]
      for (const make of bad) {
        const { client, curve, wire } = await initiated(trial)
        wire.send(make(curve, client))
        check((await wire.ended()).length === 0, "it was answered")
      }
    }
  },
  {
    ...base,
    refuses: true,
    section: "The ERROR Command",
    level: "SHALL",
    rule: "a failure of authentication is indicated by an ERROR",
    run: async (trial) => {
      const { cookie, curve, server, wire } = await welcomed(trial)
      wire.send(curve.initiate(server, cookie))
      same((await wire.command("ERROR")).toString("latin1"), "\x03400", "the reason")
    }
  },
  {
    ...client,
    rfc: 26,
    section: "The ERROR Command",
    level: "SHALL",
    rule: "an ERROR ends it, in place of WELCOME and of READY",
    run: async (trial) => {
      const first = await greeted(trial)
      first.wire.send(command("ERROR", "\x03400"))
      await first.wire.ended()
      const second = await initiated(trial)
      second.wire.send(command("ERROR", "\x03400"))
      await second.wire.ended()
    }
  }
]

const messages: ReadonlyArray<Rule> = [
  {
    ...client,
    section: "The HELLO Command",
    level: "SHALL",
    rule: "the short nonces of a client rise, from command to command",
    run: async (trial) => {
      const { client, curve, first, initiateNonce, wire } = await accepted(trial)
      check(initiateNonce > 1n || initiateNonce > 0n, "the nonce of INITIATE is none")
      check(first.nonce > initiateNonce, "the nonce of MESSAGE does not rise")
      let last = first.nonce
      for (let i = 0; i < 3; i++) {
        wire.send(curve.message("S", client, "again"))
        const { nonce } = curve.readMessage("C", await wire.frame(), client)
        check(nonce > last, "it does not rise")
        last = nonce
      }
    }
  },
  {
    ...base,
    section: "The READY Command",
    level: "SHALL",
    rule: "the short nonces of a server rise, from command to command",
    run: async (trial) => {
      const { curve, ready, server, wire } = await connected(trial)
      let last = ready.nonce
      for (let i = 0; i < 3; i++) {
        wire.send(curve.message("C", server, "x"))
        for (let part = 0; part < 2; part++) {
          const { nonce } = curve.readMessage("S", await wire.frame(), server)
          check(nonce > last, "it does not rise")
          last = nonce
        }
      }
    }
  },
  {
    ...base,
    section: "The HELLO Command",
    level: "SHALL",
    rule: "disconnect a client that reuses a short nonce, or goes back: in MESSAGE",
    run: async (trial) => {
      for (const back of [0n, 1n]) {
        const { curve, echoes, server, wire } = await connected(trial)
        await echoes("one")
        wire.send(curve.message("C", server, "two", { nonce: curve.nonce - back }))
        check((await wire.ended()).length === 0, "it was answered")
      }
    }
  },
  {
    ...client,
    section: "The READY Command",
    level: "SHALL",
    rule: "disconnect from a server that reuses a short nonce",
    run: async (trial) => {
      const { client, curve, wire } = await accepted(trial)
      wire.send(curve.message("S", client, "one"))
      curve.readMessage("C", await wire.frame(), client)
      wire.send(curve.message("S", client, "two", { nonce: curve.nonce }))
      check((await wire.ended()).length === 0, "it was answered")
    }
  },
  {
    ...base,
    section: "The MESSAGE Command",
    level: "grammar",
    rule: "a payload may be empty, and of any size, and messages may have several frames",
    run: async (trial) => {
      const { curve, echoes, server, wire } = await connected(trial)
      for (const size of [0, 1, 222, 223, 255, 256, 65_536]) await echoes("x".repeat(size))
      wire.send(curve.message("C", server, "a", { flags: 1 }), curve.message("C", server, "", { flags: 0 }))
      const flags = []
      for (let i = 0; i < 3; i++) flags.push(curve.readMessage("S", await wire.frame(), server).flags)
      same(flags, [1, 1, 0], "flags")
    }
  },
  {
    ...base,
    section: "The MESSAGE Command",
    level: "SHALL",
    rule: "disconnect who sends a MESSAGE that cannot be opened, or is too short, or something else; with no ERROR",
    run: async (trial) => {
      const bad: ReadonlyArray<(curve: Curve, server: Buffer) => Buffer> = [
        (curve, server) => changed(curve.message("C", server, "x"), 2 + 33),
        (curve, server) => changed(curve.message("C", server, "x"), 2 + 15),
        (curve, server) => frame(0, curve.message("C", server, "").subarray(2, 34)),
        // Sealed for the other direction.
        (curve, server) => curve.message("S", server, "x"),
        () => frame(0, "in clear text, and long enough"),
        () => command("PING", "\0\0")
      ]
      for (const make of bad) {
        const { curve, server, wire } = await connected(trial)
        wire.send(make(curve, server))
        check((await wire.ended()).length === 0, "it was answered")
      }
    }
  },
  {
    ...base,
    section: "The MESSAGE Command",
    level: "MUST",
    rule: "bits 7 to 1 of the flags are zero: others are rejected",
    libzmq: "does not look at them",
    run: async (trial) => {
      for (const flags of [4, 0x80]) {
        const { curve, server, wire } = await connected(trial)
        wire.send(curve.message("C", server, "x", { flags }))
        check((await wire.ended()).length === 0, "it was answered")
      }
    }
  },
  {
    ...base,
    rfc: 37,
    section: "Wire Analysis of the Connection",
    level: "SHALL",
    rule: "on an encrypted connection, message data is encoded as commands",
    libzmq: "sends message frames",
    zmtp: "sends message frames: libzmq takes what is in a command frame for a command, and drops it",
    run: async (trial) => {
      const { curve, server, wire } = await connected(trial)
      wire.send(curve.message("C", server, "x"))
      same((await wire.frame()).flags, 4, "flags")
    }
  },
  {
    ...base,
    rfc: 37,
    section: "Wire Analysis of the Connection",
    level: "SHALL",
    rule: "on an encrypted connection, message data that is encoded as commands is message data",
    libzmq: "takes it for a command, and drops it",
    run: async (trial) => {
      const { curve, server, wire } = await connected(trial)
      wire.send(curve.message("C", server, "in a command", { wire: 4 }), curve.message("C", server, "in a message"))
      const found = []
      for (let i = 0; i < 2; i++) found.push(curve.readMessage("S", await wire.frame(), server).text)
      same(found[1], "in a command", "what came back first")
    }
  },
  {
    ...base,
    rfc: 37,
    section: "Connection Heartbeating",
    level: "SHALL",
    rule: "respond to PING with PONG, in MESSAGE as libzmq has it: with 2 in the flags of the payload",
    run: async (trial) => {
      const { curve, server, wire } = await connected(trial)
      wire.send(curve.message("C", server, "\x04PING\0\0context", { flags: 2 }))
      const { flags, text } = curve.readMessage("S", await wire.frame(), server)
      same([flags, text], [2, "\x04PONGcontext"], "the answer")
    }
  },
  {
    ...base,
    rfc: 37,
    section: "Detecting ZMTP 1.0 and 2.0 Peers",
    level: "MUST",
    rule: "guard against downgrade attacks: older versions, and weaker mechanisms",
    run: async ({ dial }) => {
      for (const bytes of [
        Buffer.concat([greeting({ major: 1 }).subarray(0, 11), Buffer.of(5), frame(0, "")]),
        Buffer.from([1, 0, 2, 0, 1]),
        Buffer.concat([greeting({ mechanism: "NULL" }), command("READY", property("Socket-Type", "DEALER"))]),
        greeting({ mechanism: "PLAIN" })
      ]) {
        const wire = await dial()
        wire.send(bytes)
        await wire.ended()
      }
    }
  }
]

export const curveRules: ReadonlyArray<Rule> = [...hello, ...welcome, ...initiate, ...ready, ...messages]
