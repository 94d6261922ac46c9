/** What an editor shows of the names that people work with. */
import { expect, it } from "vitest"
import { hoversOf } from "./support/hovers.ts"

const code = `
import { Effect, Stream } from "effect"
import { Zap, Zmq } from "effect-zmq"
declare const pull: Zmq.Pull
declare const zap: (typeof Zap.Zap)["Service"]
export const received = pull.recv
export const message = Effect.runSync(pull.recv)
export const drained = pull.drain
export const tried = Zmq.tryRecv
export const messages = Zmq.messages
export const requested = Zmq.request("a")
export const events = pull.events
export const collected = Effect.runSync(Stream.runCollect(Zmq.events))
export const decisions = zap.decisions
export const verdict = Zap.accept()
export const sent = Zmq.send
export const status = Effect.runSync(pull.status)
export const endpoint = status.endpoints[0]!
`

it("names messages, events and decisions, and does not show what they are made of", async () => {
  const hovers = await hoversOf(code)
  const types = Object.fromEntries(
    Object.entries(hovers).map(([name, hover]) => [
      name,
      hover
        .split("\n")[0]!
        .replace(/^const \w+: /, "")
        .replaceAll("Zmq.", "")
    ])
  )
  expect(types).toMatchObject({
    received: "Effect.Effect<Message, Again | Closed, never>",
    message: "Message",
    drained: "Effect.Effect<Message[], Closed, never>",
    messages: "Stream.Stream<Message, Again | Closed, Receiver>",
    requested: "Effect.Effect<Message, Again | Closed | EncodeError | InvalidState, Requester>",
    events: "Stream.Stream<SocketEvent, OpenError, never>",
    collected: "SocketEvent[]",
    decisions: "Stream.Stream<Zap.Decision, never, never>",
    verdict: "Zap.Verdict",
    status: "Status",
    endpoint: "EndpointStatus"
  })
  expect(types.tried).toMatch(/^Effect.Effect<(Option\.)?Option<Message>, Closed, Receiver>$/)
  expect(types.sent).toContain("(message: Outgoing) => Effect.Effect<void, Again | Closed | EncodeError")
})
