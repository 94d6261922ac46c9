/** How much a peer can make us hold, to the byte: what we bear where nothing else is said, and one more. */
import { describe, expect, it } from "vitest"
import { command, frame, greeting, inTraffic, longFrame, property, ready, Side } from "./support/zmtpSides.ts"

const said = (side: Side, bytes: Buffer): string | undefined => {
  side.receive(bytes)
  while (side.progress.at(-1) === "later") side.progress.push(side.connection.resume())
  return side.failure?.reason
}
const inHandshake = (...bytes: ReadonlyArray<Buffer>): string | undefined =>
  said(new Side({ type: "PULL" }), Buffer.concat([greeting(), ...bytes]))
const inMessages = (bytes: Buffer): string | undefined => said(inTraffic({ type: "PULL" }, "PUSH"), bytes)

const cases: Record<string, (more: 0 | 1) => string | undefined> = {
  "2^31 - 1 bytes of a message, as they are announced": (more) =>
    inMessages(longFrame(0, 2n ** 31n - 1n + BigInt(more))),
  "of several frames together": (more) =>
    inMessages(Buffer.concat([frame(1, "1234"), longFrame(0, 2n ** 31n - 5n + BigInt(more))])),
  "65,536 frames of a message": (more) =>
    inMessages(Buffer.concat([Buffer.alloc(2 * (65_535 + more), frame(1, "")), frame(0, "")])),
  "8,192 bytes of a command of the handshake, as they are announced": (more) =>
    inHandshake(longFrame(4, 8192n + BigInt(more))),
  "65,536 bytes of a command after it, as they are announced": (more) =>
    inMessages(longFrame(4, 65_536n + BigInt(more))),
  "65,536 bytes of a topic, in a message": (more) =>
    said(inTraffic({ type: "PUB" }, "SUB"), frame(0, Buffer.alloc(1 + 65_536 + more, "\x01"))),
  "64 properties": (more) =>
    inHandshake(ready("PUSH", ...Array.from({ length: 63 + more }, (_, i) => property(`X-${i}`, "")))),
  "1,000 PINGs of who does not read the answers": (more) =>
    inMessages(Buffer.concat(Array.from({ length: 1000 + more }, () => command("PING", "\0\0"))))
}

describe("a peer may have us hold", () => {
  it.each(Object.entries(cases))("%s, and no more", (_, run) => {
    expect(run(0)).toBeUndefined()
    expect(run(1)).toMatch(/more than|are the most|than it reads/)
  })
})

it("PINGs do not count once their answers are written", () => {
  const side = inTraffic({ type: "PULL" }, "PUSH")
  for (let i = 0; i < 3; i++) {
    expect(said(side, Buffer.concat(Array.from({ length: 1000 }, () => command("PING", "\0\0"))))).toBeUndefined()
    side.said()
  }
})
