/** RFC 24: PLAIN. */
import { check, type Rule, same } from "./rules.ts"
import { command, greeting, message, properties, property, type Wire } from "./wire.ts"

const base = { rfc: 24, kind: "echo", mechanism: "PLAIN", section: "Implementation" } as const

const hello = (name = "admin", password = "secret"): Buffer =>
  command("HELLO", Buffer.of(name.length), name, Buffer.of(password.length), password)
const initiate = command("INITIATE", property("Socket-Type", "DEALER"))

const greet = async (wire: Wire): Promise<void> => {
  wire.send(greeting({ mechanism: "PLAIN" }))
  await wire.read(64, "the greeting")
}

export const plainRules: ReadonlyArray<Rule> = [
  {
    ...base,
    level: "grammar",
    rule: "the server answers HELLO with WELCOME, and INITIATE with READY",
    run: async ({ dial }) => {
      const wire = await dial()
      await greet(wire)
      wire.send(hello())
      same((await wire.command("WELCOME")).length, 0, "the data of WELCOME")
      wire.send(initiate)
      same(properties(await wire.command("READY")).get("socket-type"), "ROUTER", "Socket-Type")
      wire.send(message("hello"))
      same((await wire.message()).slice(1), ["hello"], "what came back")
    }
  },
  {
    ...base,
    level: "grammar",
    rule: "who is not accepted gets an ERROR",
    libzmq: 'writes "^RROR": in C, "\\x05E" is one character',
    run: async ({ dial }) => {
      const wire = await dial()
      await greet(wire)
      wire.send(hello("admin", "wrong"))
      same((await wire.command("ERROR")).toString("latin1"), "\x03400", "the reason")
    }
  },
  {
    ...base,
    level: "grammar",
    rule: "who is not accepted is closed",
    libzmq: "leaves that to the other, or to the limit of the handshake of 30 s",
    run: async ({ dial }) => {
      const wire = await dial()
      await greet(wire)
      wire.send(hello("admin", "wrong"))
      await wire.ended()
    }
  },
  {
    ...base,
    level: "grammar",
    rule: "a HELLO that is not well formed is none",
    run: async ({ dial }) => {
      for (const data of ["", "\x05admi", "\x05admin", "\x05admin\x06secre", "\x05admin\x06secretX"]) {
        const wire = await dial()
        await greet(wire)
        wire.send(command("HELLO", data))
        await wire.ended()
      }
    }
  },
  {
    ...base,
    level: "grammar",
    rule: "nothing may come before HELLO, or in its place",
    run: async ({ dial }) => {
      for (const early of [initiate, command("READY", property("Socket-Type", "DEALER")), message("hello")]) {
        const wire = await dial()
        await greet(wire)
        wire.send(early)
        check((await wire.ended()).length === 0, "it was answered")
      }
    }
  },
  {
    ...base,
    kind: "dealer",
    level: "grammar",
    rule: "the client sends HELLO, INITIATE after WELCOME, and messages after READY",
    run: async ({ accept }) => {
      const wire = await accept()
      wire.send(greeting({ mechanism: "PLAIN", asServer: 1 }))
      await wire.read(64, "the greeting")
      same((await wire.command("HELLO")).toString("latin1"), "\x05admin\x06secret", "the data of HELLO")
      wire.send(command("WELCOME"))
      same(properties(await wire.command("INITIATE")).get("socket-type"), "DEALER", "Socket-Type")
      wire.send(command("READY", property("Socket-Type", "ROUTER")))
      same(await wire.message(), ["hello"], "the first message")
    }
  },
  {
    ...base,
    kind: "dealer",
    level: "grammar",
    rule: "an ERROR ends it",
    run: async ({ accept }) => {
      const wire = await accept()
      wire.send(greeting({ mechanism: "PLAIN", asServer: 1 }))
      await wire.read(64, "the greeting")
      await wire.command("HELLO")
      wire.send(command("ERROR", "\x03400"))
      await wire.ended()
    }
  },
  {
    ...base,
    rfc: 37,
    kind: "dealer",
    section: "Topology",
    level: "grammar",
    rule: "the as-server of a client is zero",
    run: async ({ accept }) => {
      const wire = await accept()
      wire.send(greeting({ mechanism: "PLAIN", asServer: 1 }))
      same((await wire.read(64, "the greeting"))[32], 0, "as-server")
    }
  },
  {
    ...base,
    rfc: 24,
    level: "grammar",
    rule: "the as-server of a server is one",
    libzmq: "is always zero",
    run: async ({ dial }) => {
      const wire = await dial()
      wire.send(greeting({ mechanism: "PLAIN" }))
      same((await wire.read(64, "the greeting"))[32], 1, "as-server")
    }
  }
]
