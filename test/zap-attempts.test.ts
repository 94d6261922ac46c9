/** 10,000 attempts to get in without being allowed to, of every kind: none succeeds. */
import { expect, it } from "@effect/vitest"
import { Effect, Fiber, Redacted, Stream } from "effect"
import { Curve, Null, Plain, Zap, Zmq } from "effect-zmq"
import { boundTo, numbers, randomFrom } from "./support/sockets.ts"
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

it.live(
  "0 of 10,000 get in",
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
            receiveTimeout: "30 seconds",
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

        // What somebody who may come in has said, for others to say again.
        const between = yield* recorder(at.curve)
        yield* knocking(between.endpoint, "good", good.curve)
        expect(yield* servers.curve.recvString).toBe("good")
        const said = partsOf(between.said)
        const random = randomFrom(7)
        const garbled = () =>
          said.map((part, index) => {
            const bytes = Buffer.from(part)
            if (index > 0) bytes[random(bytes.length)]! ^= 1 << random(8)
            return bytes
          })
        const names = ["admin", "Admin", "root", "", "admin\0", "x".repeat(255)]
        const wrong = (n: number) => [names[n % names.length]!, `guess ${n}`] as const
        const atOneGo = (parts: ReadonlyArray<Buffer>) => [Buffer.concat(parts)]
        const old = Buffer.concat([
          greeting("").subarray(0, 10),
          Buffer.from([1, 8, 0, 0, 0, 8]),
          Buffer.from("intruder")
        ])

        const byHand: ReadonlyArray<readonly [number, (n: number) => Effect.Effect<ReadonlyArray<string>, Error>]> = [
          [1000, () => knock(at.null, patiently.NULL, outside)],
          [500, () => knock(at.null, atOneGo(patiently.NULL), outside)],
          [500, () => knock(at.null, [greeting("NULL", [3, 0]), ready, message("intruder")], outside)],
          [1000, (n) => knock(at.plain, patiently.PLAIN(...wrong(n)))],
          [500, (n) => knock(at.plain, atOneGo(patiently.PLAIN(...wrong(n))))],
          [500, () => knock(at.plain, patiently.PLAIN("admin", "secret"), outside)],
          [500, () => knock(at.plain, [greeting("PLAIN"), initiate, message("intruder")])],
          // Downgrades: to no mechanism, to another, to a version that has none.
          [1000, () => knock(at.plain, patiently.NULL)],
          [1000, () => knock(at.curve, patiently.NULL)],
          [500, () => knock(at.curve, patiently.PLAIN("admin", "secret"))],
          [500, (n) => knock([at.null, at.plain, at.curve][n % 3]!, atOneGo([old, Buffer.alloc(64)]))],
          // Said before, and changed by one bit in each part.
          [500, () => knock(at.curve, said)],
          [500, () => knock(at.curve, garbled())],
          [
            500,
            (n) => knock(at.curve, [greeting("CURVE"), [ready, hello("admin", "secret"), command("INITIATE")][n % 3]!])
          ]
        ]
        const asked = 1000 + 500 + 1000 + 500
        let attempts = 0
        for (const [count, attempt] of byHand) {
          const answers = yield* Effect.forEach(numbers(0, count), attempt, { concurrency: atOnce })
          expect(answers.flat()).not.toContain("READY")
          attempts += count
        }

        // Clients that are as they should be, but for who they are.
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
          }).pipe(Effect.scoped)
        const clients: ReadonlyArray<readonly [number, (n: number) => Effect.Effect<void, unknown>]> = [
          [400, () => client(at.curve, Curve.client({ keys: eve, serverKey: server.publicKey }))],
          [300, () => client(at.curve, Curve.client({ keys: ann, serverKey: eve.publicKey }))],
          [200, (n) => client(at.plain, Plain.client({ username: "admin", password: Redacted.make(`guess ${n}`) }))],
          [100, () => client(at.curve, undefined)]
        ]
        for (const [count, attempt] of clients) {
          yield* Effect.forEach(numbers(0, count), attempt, { concurrency: atOnce })
          attempts += count
        }
        expect(attempts).toBe(10_000)

        for (const name of ["null", "plain", "curve"] as const) {
          yield* knocking(at[name], "good", good[name])
          expect(yield* servers[name].recvString).toBe("good")
          expect(servers[name].stats.messagesIn).toBe(name === "curve" ? 2 : 1)
        }
        // Of those that say all at one go, libzmq asks or not.
        expect(counts.Accepted).toBe(4)
        expect(counts.Denied).toBeGreaterThanOrEqual(asked + 400 + 200)
      }).pipe(Effect.scoped, Effect.provide(secured(authenticator)))
    }),
  240_000
)
