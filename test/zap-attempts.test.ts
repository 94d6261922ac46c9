/** 10,000 attempts to get in without being allowed to, of eighteen kinds: none succeeds. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Redacted, Stream } from "effect"
import { Curve, Null, Plain, Zap, Zmq } from "effect-zmq"
import { boundTo, numbers, randomFrom, until } from "./support/sockets.ts"
import { knocking, secured } from "./support/zap.ts"
import {
  command,
  greeting,
  hello,
  initiate,
  knock,
  message,
  partsOf,
  patiently,
  ready,
  recorder
} from "./support/zmtp.ts"

const secret = Redacted.make("secret")
const atOnce = 32
const outside = "127.0.0.2"

/** What there is to attack. */
interface Target {
  /** Where the servers are, one of each mechanism. */
  readonly at: { readonly null: string; readonly plain: string; readonly curve: string }
  /** What somebody who may come in has said to the CURVE server, for others to say again. */
  readonly said: ReadonlyArray<Buffer>
  readonly serverKey: Curve.PublicKey
  readonly otherKey: Curve.PublicKey
  readonly ann: Curve.KeyPair
  readonly eve: Curve.KeyPair
}

interface Kind {
  readonly times: number
  /** Whether the authenticator is asked each time. Of those that say all at one go, libzmq asks or not. */
  readonly asked?: boolean
  /** Gives what it was answered. */
  readonly attempt: (target: Target, n: number) => Effect.Effect<ReadonlyArray<string>, unknown>
}

const names = ["admin", "Admin", "root", "", "admin\0", "x".repeat(255)]
const wrong = (n: number) => [names[n % names.length]!, n % 4 === 0 ? "" : `guess ${n}`] as const
const atOneGo = (parts: ReadonlyArray<Buffer>) => [Buffer.concat(parts)]
const old = Buffer.concat([
  greeting("").subarray(0, 10),
  Buffer.from([1, 8, 0, 0, 0, 8]),
  Buffer.from("intruder"),
  Buffer.alloc(64)
])

const random = randomFrom(7)
/** Each part changed by one bit. */
const garbled = (said: ReadonlyArray<Buffer>) =>
  said.map((part, index) => {
    const bytes = Buffer.from(part)
    if (index > 0) bytes[random(bytes.length)]! ^= 1 << random(8)
    return bytes
  })

/** A client that is as it should be, but for who it is. */
const client = (connect: string, security: Zmq.PushOptions["security"]) =>
  Effect.gen(function* () {
    const push = yield* Zmq.push({ linger: 0, security })
    const refused = yield* push.events.pipe(
      Stream.filter(Zmq.SocketEvent.$is("HandshakeFailed")),
      Stream.runHead,
      Effect.forkChild({ startImmediately: true })
    )
    yield* push.connect(connect)
    yield* Effect.forkChild(Effect.ignore(push.send("intruder")))
    yield* Fiber.join(refused)
    return []
  }).pipe(Effect.scoped)

const kinds: { readonly [name: string]: Kind } = {
  "NULL from an address that is not allowed": {
    times: 1000,
    asked: true,
    attempt: ({ at }) => knock(at.null, patiently.NULL, outside)
  },
  "the same, all at one go": { times: 500, attempt: ({ at }) => knock(at.null, atOneGo(patiently.NULL), outside) },
  "the same, by ZMTP 3.0": {
    times: 500,
    asked: true,
    attempt: ({ at }) => knock(at.null, [greeting("NULL", [3, 0]), ready, message("intruder")], outside)
  },
  "PLAIN with a wrong name or password": {
    times: 1000,
    asked: true,
    attempt: ({ at }, n) => knock(at.plain, patiently.PLAIN(...wrong(n)))
  },
  "the same PLAIN, all at one go": {
    times: 500,
    attempt: ({ at }, n) => knock(at.plain, atOneGo(patiently.PLAIN(...wrong(n))))
  },
  "PLAIN from an address that is not allowed": {
    times: 500,
    asked: true,
    attempt: ({ at }) => knock(at.plain, patiently.PLAIN("admin", "secret"), outside)
  },
  "PLAIN without a HELLO": {
    times: 500,
    attempt: ({ at }) => knock(at.plain, [greeting("PLAIN"), initiate, message("intruder")])
  },
  "NULL where PLAIN is asked for": { times: 1000, attempt: ({ at }) => knock(at.plain, patiently.NULL) },
  "NULL where CURVE is asked for": { times: 1000, attempt: ({ at }) => knock(at.curve, patiently.NULL) },
  "PLAIN where CURVE is asked for": {
    times: 500,
    attempt: ({ at }) => knock(at.curve, patiently.PLAIN("admin", "secret"))
  },
  "a version that has no mechanisms": {
    times: 500,
    attempt: ({ at }, n) => knock([at.null, at.plain, at.curve][n % 3]!, [old])
  },
  "what another has said before": { times: 500, attempt: ({ at, said }) => knock(at.curve, said) },
  "what another has said before, changed": { times: 500, attempt: ({ at, said }) => knock(at.curve, garbled(said)) },
  "commands of another mechanism": {
    times: 500,
    attempt: ({ at }, n) =>
      knock(at.curve, [greeting("CURVE"), [ready, hello("admin", "secret"), command("INITIATE")][n % 3]!])
  },
  "a client with keys that are not allowed": {
    times: 400,
    asked: true,
    attempt: ({ at, eve, serverKey }) => client(at.curve, Curve.client({ keys: eve, serverKey }))
  },
  "a client with the key of another server": {
    times: 300,
    attempt: ({ ann, at, otherKey }) => client(at.curve, Curve.client({ keys: ann, serverKey: otherKey }))
  },
  "a client with a wrong password": {
    times: 200,
    asked: true,
    attempt: ({ at }, n) => client(at.plain, Plain.client({ username: "admin", password: Redacted.make(`guess ${n}`) }))
  },
  "a client without security": { times: 100, attempt: ({ at }) => client(at.curve, undefined) }
}

describe("0 of 10,000 get in", () => {
  it("which are of eighteen kinds", () => {
    const times = Object.values(kinds).map((kind) => kind.times)
    expect([times.length, times.reduce((sum, one) => sum + one, 0)]).toEqual([18, 10_000])
  })

  for (const [name, { asked = false, attempt, times }] of Object.entries(kinds)) {
    it.live(
      `${times}: ${name}`,
      () =>
        Effect.gen(function* () {
          const [server, ann, eve] = [yield* Curve.generate, yield* Curve.generate, yield* Curve.generate]
          const authenticator = Zap.layer({ allow: ["127.0.0.1"], plain: { admin: secret }, curve: [ann.publicKey] })
          yield* Effect.gen(function* () {
            const zap = yield* Zap.Zap
            const counts = { Accepted: 0, Denied: 0 }
            yield* zap.decisions.pipe(
              Stream.runForEach(({ _tag }) => Effect.sync(() => counts[_tag]++)),
              Effect.forkScoped({ startImmediately: true })
            )
            const open = (security: Zmq.PullOptions["security"]) =>
              Zmq.pull({
                bind: "tcp://127.0.0.1:*",
                security,
                backlog: 1024,
                // For those that promise more than they send.
                handshakeInterval: "2 seconds"
              })
            const servers = {
              null: yield* open(Null.server({ domain: "global" })),
              plain: yield* open(Plain.server({ domain: "global" })),
              curve: yield* open(Curve.server({ keys: server, domain: "global" }))
            }
            const at = { null: boundTo(servers.null), plain: boundTo(servers.plain), curve: boundTo(servers.curve) }
            const good = {
              null: {},
              plain: { security: Plain.client({ username: "admin", password: secret }) },
              curve: { security: Curve.client({ keys: ann, serverKey: server.publicKey }) }
            }
            const between = yield* recorder(at.curve)
            yield* knocking(between.endpoint, "good", good.curve)
            expect(yield* servers.curve.recvString).toBe("good")
            const target: Target = {
              at,
              said: partsOf(between.said),
              serverKey: server.publicKey,
              otherKey: eve.publicKey,
              ann,
              eve
            }

            const answers = yield* Effect.forEach(numbers(0, times), (n) => attempt(target, n), { concurrency: atOnce })
            expect(answers.flat()).not.toContain("READY")

            // Whoever may come in is the first of whom something is received.
            for (const mechanism of ["null", "plain", "curve"] as const) {
              yield* knocking(at[mechanism], "good", good[mechanism])
              expect(yield* servers[mechanism].recvString).toBe("good")
              expect(servers[mechanism].stats.messagesIn).toBe(mechanism === "curve" ? 2 : 1)
            }
            yield* until(Effect.sync(() => counts.Accepted >= 4 && counts.Denied >= (asked ? times : 0)))
            expect(counts.Accepted).toBe(4)
          }).pipe(Effect.scoped, Effect.provide(secured(authenticator)))
        }),
      120_000
    )
  }
})
