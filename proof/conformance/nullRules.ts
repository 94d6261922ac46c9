/** RFC 37 and 23 in clear text: greeting, framing, NULL, metadata, heartbeats. */
import { check, type Rule, same } from "./rules.ts"
import {
  command,
  frame,
  type GreetingFields,
  greeting,
  longFrame,
  message,
  properties,
  property,
  type Wire
} from "./wire.ts"

const base = { rfc: 37, kind: "echo", mechanism: "NULL" } as const

const ready = (type: string, ...more: ReadonlyArray<Buffer>): Buffer =>
  command("READY", property("Socket-Type", type), ...more)

/** Greets, and is ready. Gives what the other said. */
const shake = async (wire: Wire, fields: GreetingFields = {}, ...more: ReadonlyArray<Buffer>) => {
  wire.send(greeting(fields), ready("DEALER", ...more))
  const theirs = await wire.read(64, "the greeting")
  return { theirs, properties: properties(await wire.command("READY")) }
}

/** The connection is good, both ways. Gives the routing id. */
const echoes = async (wire: Wire, text = "hello"): Promise<string> => {
  wire.send(message(text))
  const [id, ...frames] = await wire.message()
  same(frames, [text], "what came back")
  return id!
}

const refuses = async (wire: Wire, ...parts: ReadonlyArray<Buffer>): Promise<Buffer> => {
  wire.send(...parts)
  return wire.ended()
}

const greetings: ReadonlyArray<Rule> = [
  {
    ...base,
    section: "Version Negotiation",
    level: "SHALL",
    rule: "sends its entire greeting of 64 octets: signature, version, mechanism, as-server, filler of zeros",
    run: async ({ dial }) => {
      const wire = await dial()
      wire.send(greeting())
      const theirs = await wire.read(64, "the greeting")
      check(theirs[0] === 0xff && theirs[9] === 0x7f, "the signature is not 0xff, padding, 0x7f")
      check(theirs[10] === 3 && theirs[11]! <= 1, `the version is ${theirs[10]}.${theirs[11]}`)
      same(theirs.toString("latin1", 12, 32), "NULL".padEnd(20, "\0"), "the mechanism")
      check(theirs[32]! <= 1, "as-server is neither 0 nor 1")
      check(
        theirs.subarray(33).every((byte) => byte === 0),
        "the filler is not zero"
      )
    }
  },
  {
    ...base,
    section: "Version Negotiation",
    level: "MUST NOT",
    rule: "validate the padding, nor interpret it in any way",
    run: async ({ dial }) => {
      for (const padding of [1, 0x7f, 0xff]) {
        const wire = await dial()
        await shake(wire, { padding })
        await echoes(wire)
      }
    }
  },
  {
    ...base,
    section: "Version Negotiation",
    level: "MUST",
    rule: "accept higher protocol versions, and use its own protocol with them",
    run: async ({ dial }) => {
      for (const [major, minor] of [
        [3, 2],
        [3, 255],
        [4, 0],
        [255, 255]
      ] as const) {
        const wire = await dial()
        await shake(wire, { major, minor })
        await echoes(wire)
      }
    }
  },
  {
    ...base,
    section: "Version Negotiation",
    level: "MUST",
    rule: "close the connection if it cannot downgrade to an older version",
    run: async ({ dial }) => {
      // Those who can have sent the signature and 3, and then say their type as ZMTP 2.0 has it.
      const wire = await dial()
      wire.send(greeting({ major: 1 }).subarray(0, 11), Buffer.of(5))
      const said = await wire.read(12, "a greeting").catch(() => undefined)
      if (said === undefined || said[11] === 1) await wire.ended()
    }
  },
  {
    ...base,
    rfc: 37,
    mechanism: "PLAIN",
    section: "Detecting ZMTP 1.0 and 2.0 Peers",
    level: "MUST",
    rule: "immediately close the connection of a 1.0 or 2.0 peer, if the mechanism is another than NULL",
    run: async ({ dial }) => {
      await refuses(await dial(), greeting({ major: 1 }).subarray(0, 11), Buffer.of(5), frame(0, ""))
      await refuses(await dial(), Buffer.from([1, 0]), Buffer.from([2, 0, 1]))
      await refuses(await dial(), Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0]), Buffer.from([2, 0, 1]))
    }
  },
  {
    ...base,
    section: "Authentication and Confidentiality",
    level: "MUST",
    rule: "close the connection if the mechanism is not exactly the one it sent",
    run: async ({ dial }) => {
      for (const mechanism of ["PLAIN", "CURVE", "null", "NULL2", "NUL", "NULL\0X", ""])
        await refuses(await dial(), greeting({ mechanism }), ready("DEALER"))
    }
  },
  {
    ...base,
    section: "Authentication and Confidentiality",
    level: "MUST",
    rule: "send a full greeting to who has sent one, also with another mechanism",
    libzmq: "closes after 11 octets of it",
    run: async ({ dial }) => {
      const wire = await dial()
      wire.send(greeting({ mechanism: "PLAIN" }))
      await wire.read(64, "the greeting")
      await wire.ended()
    }
  },
  {
    ...base,
    section: "Topology",
    level: "SHALL",
    rule: "as-server has no significance for NULL",
    run: async ({ dial }) => {
      const wire = await dial()
      await shake(wire, { asServer: 1 })
      await echoes(wire)
    }
  },
  {
    ...base,
    section: "The NULL Security Mechanism",
    level: "MUST",
    rule: "as-server is zero with NULL",
    run: async ({ dial }) => {
      const wire = await dial()
      const { theirs } = await shake(wire)
      same(theirs[32], 0, "as-server")
    }
  },
  {
    ...base,
    section: "Formal Grammar",
    level: "grammar",
    rule: "the greeting, commands and messages may come octet by octet",
    run: async ({ dial }) => {
      const wire = await dial()
      await wire.trickle(Buffer.concat([greeting(), ready("DEALER")]))
      await wire.read(64, "the greeting")
      await wire.command("READY")
      await wire.trickle(Buffer.concat([message("a", "", "b".repeat(300)), longFrame(0, "c")]))
      same((await wire.message()).slice(1), ["a", "", "b".repeat(300)], "what came back")
      same((await wire.message()).slice(1), ["c"], "what came back")
    }
  }
]

const frames: ReadonlyArray<Rule> = [
  {
    ...base,
    section: "Framing",
    level: "grammar",
    rule: "a short frame has up to 255 octets, a long one may have any size",
    run: async ({ dial }) => {
      const wire = await dial()
      await shake(wire)
      for (const size of [0, 1, 254, 255, 256, 257, 8191, 8192, 65_535, 65_536, 1_000_000]) {
        const body = String(size % 10).repeat(size)
        wire.send(frame(0, body), longFrame(0, body))
        for (let i = 0; i < 2; i++) {
          await wire.frame("the routing id")
          const echo = await wire.frame("the body")
          check(echo.bytes.equals(frame(0, body)), `${size} octets came back as something else`)
        }
      }
    }
  },
  {
    ...base,
    section: "Framing",
    level: "MUST",
    rule: "reserved flags are zero, and MORE is on all frames of a message but the last",
    run: async ({ dial }) => {
      const wire = await dial()
      await shake(wire)
      wire.send(message("a", "b", "c"))
      const flags = []
      for (let i = 0; i < 4; i++) flags.push((await wire.frame()).flags)
      same(flags, [1, 1, 1, 0], "flags")
    }
  },
  {
    ...base,
    section: "Framing",
    level: "SHALL",
    rule: "MORE is zero on commands",
    run: async ({ dial }) => {
      const wire = await dial()
      wire.send(greeting(), ready("DEALER"))
      await wire.read(64, "the greeting")
      same((await wire.frame("READY")).flags, 4, "the flags of READY")
      wire.send(command("PING", "\0\0x"))
      same((await wire.frame("PONG")).flags, 4, "the flags of PONG")
    }
  },
  {
    ...base,
    section: "Formal Grammar",
    level: "grammar",
    rule: "commands may come between the frames of a message",
    run: async ({ dial }) => {
      const wire = await dial()
      await shake(wire)
      wire.send(frame(1, "a"), command("PING", "\0\0x"), frame(0, "b"))
      same((await wire.command("PONG")).toString(), "x", "the context")
      same((await wire.message()).slice(1), ["a", "b"], "what came back")
    }
  },
  {
    ...base,
    section: "Messages",
    level: "SHALL",
    rule: "a message is delivered with all its frames, or none of them",
    run: async ({ dial }) => {
      const first = await dial()
      await shake(first, {}, property("Identity", "half"))
      first.send(frame(1, "half"), command("PING", "\0\0x"))
      await first.command("PONG")
      first.close()
      const second = await dial()
      await shake(second)
      await echoes(second, "whole")
    }
  },
  {
    ...base,
    section: "Socket Semantics",
    level: "SHALL",
    rule: "messages are delivered in order, and once",
    run: async ({ dial }) => {
      const wire = await dial()
      await shake(wire)
      for (let i = 0; i < 500; i++) wire.send(message(String(i)))
      for (let i = 0; i < 500; i++) same((await wire.message()).slice(1), [String(i)], "what came back")
    }
  },
  {
    ...base,
    section: "Wire Analysis of the Connection",
    level: "SHALL",
    rule: "in clear text, message data is sent as message frames",
    run: async ({ dial }) => {
      const wire = await dial()
      await shake(wire)
      wire.send(message("data"))
      await wire.frame()
      check((await wire.frame()).bytes.equals(frame(0, "data")), "it is something else")
    }
  }
]

const handshakes: ReadonlyArray<Rule> = [
  {
    ...base,
    section: "The NULL Security Mechanism",
    level: "MUST",
    rule: "the server sends READY in reply to READY",
    run: async ({ dial }) => {
      const wire = await dial()
      const { properties: theirs } = await shake(wire)
      same(theirs.get("socket-type"), "ROUTER", "Socket-Type")
    }
  },
  {
    ...base,
    rfc: 23,
    section: "The NULL Security Mechanism",
    level: "MUST",
    rule: "send READY before attempting to receive one",
    run: async ({ dial }) => {
      const wire = await dial()
      wire.send(greeting({ minor: 0 }))
      await wire.read(64, "the greeting")
      await wire.command("READY")
    }
  },
  {
    ...base,
    rfc: 23,
    section: "The NULL Security Mechanism",
    level: "grammar",
    rule: "messages may come at once after READY: RFC 37 has its peers wait for the READY of the other",
    libzmq: "ends the connection, if the message comes before it has sent its own READY",
    run: async ({ dial }) => {
      for (let i = 0; i < 30; i++) {
        const wire = await dial()
        await wire.trickle(Buffer.concat([greeting({ minor: 0 }), ready("DEALER"), message("early")]))
        await wire.read(64, "the greeting")
        await wire.command("READY")
        same((await wire.message()).slice(1), ["early"], "what came back")
        wire.close()
      }
    }
  },
  {
    ...base,
    rfc: 37,
    kind: "dealer",
    section: "The NULL Security Mechanism",
    level: "SHALL",
    rule: "the client sends READY, and messages once it has received one",
    run: async ({ accept }) => {
      const wire = await accept()
      wire.send(greeting())
      await wire.read(64, "the greeting")
      const theirs = properties(await wire.command("READY"))
      same(theirs.get("socket-type"), "DEALER", "Socket-Type")
      same(theirs.get("identity"), "me", "Identity")
      wire.send(ready("ROUTER"))
      same(await wire.message(), ["hello"], "the first message")
    }
  },
  {
    ...base,
    section: "The NULL Security Mechanism",
    level: "SHALL NOT",
    rule: "the case of metadata names is significant",
    libzmq: 'knows "Identity" in this case alone',
    run: async ({ dial }) => {
      const wire = await dial()
      wire.send(greeting(), command("READY", property("SOCKET-TYPE", "DEALER"), property("iDENTITY", "somebody")))
      await wire.read(64, "the greeting")
      await wire.command("READY")
      same(await echoes(wire), "somebody", "the routing id")
    }
  },
  {
    ...base,
    section: "The NULL Security Mechanism",
    level: "grammar",
    rule: "values may be empty, and names have up to 255 characters",
    run: async ({ dial }) => {
      const wire = await dial()
      await shake(wire, {}, property("X-Empty", ""), property("X".repeat(255), "v"), property("a-_.+9", "\0\xff"))
      await echoes(wire)
    }
  },
  {
    ...base,
    section: "The NULL Security Mechanism",
    level: "SHALL",
    rule: "metadata that is not well formed is no READY",
    libzmq: "takes a name of no characters",
    run: async ({ dial }) => {
      for (const data of ["\x0bSocket-Type\0\0\0\x07DEALER", "\x0bSocket-Type\0\0", "\xffX\0\0\0\0", "\0\0\0\0\x01x"])
        await refuses(await dial(), greeting(), command("READY", data))
    }
  },
  {
    ...base,
    section: "Formal Grammar",
    level: "grammar",
    rule: "the handshake has commands alone",
    libzmq: "does not look at the flag",
    run: async ({ dial }) => {
      await refuses(await dial(), greeting(), frame(0, "\x05READY"))
    }
  },
  {
    ...base,
    section: "The Socket-Type Property",
    level: "SHOULD",
    rule: "refuse a type that may not talk to its own",
    run: async ({ dial }) => {
      for (const type of ["PUB", "PULL", "REP", "PAIR", "NOBODY", ""])
        await refuses(await dial(), greeting(), ready(type))
    }
  },
  {
    ...base,
    section: "The Socket-Type Property",
    level: "SHOULD",
    rule: "return an ERROR before it disconnects a type that may not talk to its own",
    libzmq: "closes without a word",
    run: async ({ dial }) => {
      const wire = await dial()
      wire.send(greeting(), ready("PUB"))
      await wire.read(64, "the greeting")
      await wire.command("READY")
      const reason = await wire.command("ERROR")
      same(reason.length, 1 + reason[0]!, "the size of the reason")
    }
  },
  {
    ...base,
    section: "The Identity Property",
    level: "SHALL",
    rule: "an Identity of up to 255 octets addresses the peer of a ROUTER",
    run: async ({ dial }) => {
      for (const identity of ["x", "x".repeat(255), "\xff\0\x01"]) {
        const wire = await dial()
        await shake(wire, {}, property("Identity", identity))
        same(await echoes(wire), identity, "the routing id")
        wire.close()
      }
    }
  },
  {
    ...base,
    section: "The Identity Property",
    level: "SHALL NOT",
    rule: "the first octet of an Identity is zero",
    libzmq: "takes it",
    run: async ({ dial }) => {
      const wire = await dial()
      wire.send(greeting(), ready("DEALER", property("Identity", "\0abc")))
      await wire.ended()
    }
  },
  {
    ...base,
    kind: "dealer",
    section: "Error Handling",
    level: "SHALL",
    rule: "an ERROR in the handshake is fatal",
    libzmq: "goes on waiting, as NULL",
    run: async ({ accept }) => {
      const wire = await accept()
      wire.send(greeting(), command("ERROR", "\x02no"))
      await wire.ended()
    }
  },
  {
    ...base,
    refuses: true,
    section: "Error Handling",
    level: "SHOULD",
    rule: "who is refused gets an ERROR",
    run: async ({ dial }) => {
      const wire = await dial()
      wire.send(greeting(), ready("DEALER"))
      await wire.read(64, "the greeting")
      same((await wire.command("ERROR")).toString("latin1"), "\x03400", "the reason")
    }
  }
]

const heartbeats: ReadonlyArray<Rule> = [
  {
    ...base,
    section: "Connection Heartbeating",
    level: "SHALL",
    rule: "respond to PING with a PONG that echoes the context",
    run: async ({ dial }) => {
      const wire = await dial()
      await shake(wire)
      for (const context of ["", "x", "sixteen octets..", "\0\xff"]) {
        wire.send(command("PING", "\0\0", context))
        same((await wire.command("PONG")).toString("latin1"), context, "the context")
      }
      await echoes(wire)
    }
  },
  {
    ...base,
    section: "Connection Heartbeating",
    level: "SHALL",
    rule: "each PING has its PONG",
    run: async ({ dial }) => {
      const wire = await dial()
      await shake(wire)
      wire.send(...Array.from({ length: 20 }, (_, i) => command("PING", "\0\0", String(i))))
      for (let i = 0; i < 20; i++) same((await wire.command("PONG")).toString(), String(i), "the context")
    }
  },
  {
    ...base,
    section: "Connection Heartbeating",
    level: "MUST NOT",
    rule: "the context of a PONG exceeds 16 octets",
    run: async ({ dial }) => {
      const wire = await dial()
      await shake(wire)
      wire.send(command("PING", "\0\0", "x".repeat(17)))
      const pong = await wire.command("PONG").catch(() => undefined)
      check(pong === undefined || pong.length <= 16, "it does")
    }
  },
  {
    ...base,
    section: "Connection Heartbeating",
    level: "SHOULD",
    rule: "consider the connection dead if nothing comes within the time to live of a PING",
    run: async ({ dial }) => {
      const wire = await dial()
      await shake(wire)
      wire.send(command("PING", "\0\x01"))
      await wire.command("PONG")
      await wire.ended()
    }
  }
]

export const nullRules: ReadonlyArray<Rule> = [...greetings, ...frames, ...handshakes, ...heartbeats]
