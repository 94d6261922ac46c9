/** The authenticator: who gets in, who does not, and what becomes of that when it fails, ends or is replaced. */
import { NodeServices } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import {
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  FileSystem,
  Layer,
  Logger,
  Queue,
  Redacted,
  References,
  Scope,
  Stream
} from "effect"
import { TestClock } from "effect/testing"
import { Curve, Null, Plain, Zap, Zmq } from "effect-zmq"
import { runHandler } from "../src/internal/zap/handler.ts"
import { byEngine, engineName } from "./support/byEngine.ts"
import {
  boundTo,
  failureOf,
  freshEndpoint,
  nextTurn,
  numbers,
  openFiles,
  outcome,
  texts,
  until
} from "./support/sockets.ts"
import { alone, captured, decisionsOf, knocking, next, secured } from "./support/zap.ts"
import { greeting, knock, message, partsOf, patiently, ready, recorder } from "./support/zmtp.ts"

const tcp = "tcp://127.0.0.1:*"
const handlerName = "inproc://zeromq.zap.01"
const hush = Redacted.make("hush")
const plain = (username: string, password = hush) => ({ security: Plain.client({ username, password }) })

/** Lets in whoever is the last to come: then nobody did before. */
const onlyGets = (pull: Zmq.Pull, text: string) => Effect.map(pull.recvString, (got) => expect(got).toBe(text))

describe("who gets in", () => {
  it.live("by name and password", () => {
    const log = captured()
    const rude = "\u001b[2Jroot\n"
    return Effect.gen(function* () {
      const decisions = yield* decisionsOf
      const pull = yield* Zmq.pull({
        bind: tcp,
        security: Plain.server({ domain: "users" }),
        receiveTimeout: "1 minute"
      })
      const at = boundTo(pull)
      for (const [name, password] of [
        ["ann", "hush!"],
        ["ann", "Hush"],
        ["bob", "hush"],
        ["__proto__", "hush"],
        ["\u001b[2Jann\n", "hush"]
      ] as const) {
        yield* knocking(at, "intruder", { ...plain(name, Redacted.make(password)), reconnectInterval: "1 minute" })
        expect(yield* next(decisions)).toBe("Denied Credentials 400")
      }
      // No client of libzmq sends an empty password.
      for (const name of ["ann", "bob", ""]) {
        expect(yield* knock(at, patiently.PLAIN(name, ""))).toEqual(["ERROR 400"])
        expect(yield* next(decisions)).toBe("Denied Credentials 400")
      }
      yield* knocking(at, "good", plain("ann"))
      expect(yield* next(decisions)).toBe("Accepted ann")
      yield* onlyGets(pull, "good")
      yield* knocking(at, "good", plain(rude))
      expect(yield* next(decisions)).toBe(`Accepted ${rude}`)

      const denials = log.lines.filter((line) => line.includes("ZAP denied")).map((line) => JSON.parse(line))
      // One line for all of the kind.
      expect(denials).toHaveLength(1)
      expect(denials[0]).toMatchObject({
        level: "WARN",
        annotations: { domain: "users", address: "127.0.0.1", mechanism: "PLAIN", identity: "", status: 400 }
      })
      expect(log.lines.filter((line) => line.includes("ZAP accepted"))).toHaveLength(2)
      expect(log.lines.join("")).not.toMatch(/hush/i)
      expect(log.lines.join("")).not.toContain("u001b")
    }).pipe(Effect.provide(secured(Zap.layer({ plain: { ann: hush, [rude]: hush } }), log.layer)))
  })

  it.live("by address: peers of two loopback addresses, of IPv6, and of ipc", () =>
    Effect.gen(function* () {
      const decisions = yield* decisionsOf
      const open = (bind: string, domain: string) =>
        Zmq.pull({ bind, ipv6: true, security: Null.server({ domain }), receiveTimeout: "1 minute" })
      const both = yield* open("tcp://[::]:*", "lan")
      const port = boundTo(both).split(":").at(-1)
      expect(yield* knock(`tcp://127.0.0.2:${port}`, patiently.NULL, "127.0.0.2")).toEqual(["ERROR 400"])
      expect(yield* next(decisions)).toBe("Denied Address 400")
      expect(yield* knock(`tcp://[::1]:${port}`, patiently.NULL)).toEqual(["ERROR 400"])
      expect(yield* next(decisions)).toBe("Denied Address 400")
      expect(yield* knock(`tcp://127.0.0.1:${port}`, [greeting("NULL"), ready, message("good")])).toEqual(["READY"])
      expect(yield* next(decisions)).toBe("Accepted anonymous")
      yield* onlyGets(both, "good")

      const local = yield* open(freshEndpoint("ipc"), "local")
      yield* knocking(boundTo(local), "good")
      expect(yield* next(decisions)).toBe("Accepted anonymous")
      yield* onlyGets(local, "good")
      const other = yield* open(freshEndpoint("ipc"), "lan")
      yield* knocking(boundTo(other), "intruder")
      expect(yield* next(decisions)).toBe("Denied Address 400")
    }).pipe(
      Effect.provide(
        secured(
          Zap.layer({ allow: ["127.0.0.0/8", "::2"], deny: ["127.0.0.2"], domains: { local: { allow: ["ipc"] } } })
        )
      )
    )
  )

  it.live("by public key, and another mechanism than the socket's never", () =>
    Effect.gen(function* () {
      const [server, ann, eve] = [yield* Curve.generate, yield* Curve.generate, yield* Curve.generate]
      yield* Effect.gen(function* () {
        const decisions = yield* decisionsOf
        const pull = yield* Zmq.pull({
          bind: tcp,
          security: Curve.server({ keys: server, domain: "jobs" }),
          receiveTimeout: "1 minute"
        })
        const at = boundTo(pull)
        const as = (keys: Curve.KeyPair, serverKey = server.publicKey) => ({
          security: Curve.client({ keys, serverKey })
        })
        yield* knocking(at, "intruder", as(eve))
        expect(yield* next(decisions)).toBe("Denied Credentials 400")
        // The client notices: nobody is asked.
        const failed = yield* knocking(at, "intruder", as(ann, eve.publicKey))
        yield* Stream.runHead(Stream.filter(failed.events, Zmq.SocketEvent.$is("HandshakeFailed")))
        expect(yield* knock(at, patiently.NULL)).toEqual([])
        expect(yield* knock(at, patiently.PLAIN("ann", "hush"))).toEqual([])
        yield* knocking(at, "good", as(ann))
        expect(yield* next(decisions)).toBe(`Accepted ${ann.publicKey}`)
        yield* onlyGets(pull, "good")
      }).pipe(Effect.provide(secured(Zap.layer({ curve: [ann.publicKey], null: Zap.anybody, plain: Zap.anybody }))))
    })
  )

  it.live("by a rule of the domain, and what is not allowed is denied", () =>
    Effect.gen(function* () {
      const decisions = yield* decisionsOf
      const open = (domain: string) => Zmq.pull({ bind: tcp, security: Plain.server({ domain }) })
      const [admin, users, others] = [yield* open("admin"), yield* open("users"), yield* open("others")]
      const asks = (pull: Zmq.Pull, name: string, password: string, from?: string) =>
        Effect.andThen(knock(boundTo(pull), patiently.PLAIN(name, password), from), next(decisions))
      expect(yield* asks(admin, "root", "hush")).toBe("Accepted root")
      expect(yield* asks(admin, "ann", "hush")).toBe("Denied Credentials 400")
      expect(yield* asks(admin, "root", "hush", "127.0.0.3")).toBe("Denied Address 400")
      expect(yield* asks(users, "ann", "hush")).toBe("Accepted ann")
      expect(yield* asks(users, "ann", "hush", "127.0.0.3")).toBe("Accepted ann")
      // The `deny` of the layer counts in all domains.
      expect(yield* asks(users, "ann", "hush", "127.0.0.4")).toBe("Denied Address 400")
      expect(yield* asks(others, "ann", "hush")).toBe("Denied NoAuthenticator 400")

      const zap = yield* Zap.Zap
      yield* zap.setAddressRules({ deny: ["127.0.0.1"] }, "users")
      expect(yield* asks(users, "ann", "hush")).toBe("Denied Address 400")
      yield* zap.setAddressRules({}, "users")
      expect(yield* asks(users, "ann", "hush")).toBe("Accepted ann")
      yield* zap.setAddressRules({})
      expect(yield* asks(users, "ann", "hush", "127.0.0.4")).toBe("Accepted ann")
      expect(yield* Effect.flip(zap.setAddressRules({}, "nowhere"))).toMatchObject({ option: "domain" })
      expect(yield* Effect.flip(zap.setAddressRules({ allow: ["x"] }))).toMatchObject({ option: "allow" })
      const misspelt: object = { denny: ["127.0.0.1"] }
      expect(yield* Effect.flip(zap.setAddressRules(misspelt))).toMatchObject({ option: "rules.denny" })
    }).pipe(
      Effect.provide(
        secured(
          Zap.layer({
            deny: ["127.0.0.4"],
            domains: {
              admin: { allow: ["127.0.0.1"], plain: { root: hush } },
              users: { plain: { ann: hush } }
            }
          })
        )
      )
    )
  )

  it.live("with no rules at all: nobody", () =>
    Effect.gen(function* () {
      const decisions = yield* decisionsOf
      const pull = yield* Zmq.pull({ bind: tcp, security: Null.server({ domain: "x" }) })
      expect(yield* knock(boundTo(pull), patiently.NULL)).toEqual(["ERROR 400"])
      expect(yield* next(decisions)).toBe("Denied NoAuthenticator 400")
    }).pipe(Effect.provide(secured(Zap.layer({}))))
  )

  it.live("by older versions of ZMTP, which have no mechanisms: nobody", () =>
    Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: tcp, security: Null.server({ domain: "x" }), receiveTimeout: "1 minute" })
      const at = boundTo(pull)
      // ZMTP 1.0 has a length and the routing id, 2.0 a greeting and the socket type
      expect(yield* knock(at, [Buffer.from([1, 0, 9, 0, ...Buffer.from("intruder")]), Buffer.alloc(64)])).toEqual([])
      const signature = greeting("").subarray(0, 10)
      for (const version of [0, 1, 2]) {
        const old = Buffer.concat([signature, Buffer.from([version, 8, 0, 0, 0, 8]), Buffer.from("intruder")])
        expect(yield* knock(at, [Buffer.concat([old, Buffer.alloc(64)])])).toEqual([])
      }
      yield* knocking(at, "good")
      yield* onlyGets(pull, "good")
    }).pipe(Effect.provide(secured(Zap.layer({ allow: ["127.0.0.1"] }))))
  )

  it.live("with what another has said before: nobody", () =>
    Effect.gen(function* () {
      const [server, ann] = [yield* Curve.generate, yield* Curve.generate]
      yield* Effect.gen(function* () {
        const pull = yield* Zmq.pull({
          bind: tcp,
          security: Curve.server({ keys: server, domain: "jobs" }),
          receiveTimeout: "1 minute"
        })
        const between = yield* recorder(boundTo(pull))
        const security = Curve.client({ keys: ann, serverKey: server.publicKey })
        yield* knocking(between.endpoint, "good", { security })
        yield* onlyGets(pull, "good")
        const said = partsOf(between.said)
        // greeting, HELLO, INITIATE, message
        expect(said).toHaveLength(4)
        const denied = yield* Stream.filter(pull.events, Zmq.SocketEvent.$is("HandshakeFailed")).pipe(
          Stream.runHead,
          Effect.forkChild({ startImmediately: true })
        )
        expect(yield* knock(boundTo(pull), said)).toEqual(["WELCOME"])
        expect(yield* Fiber.join(denied)).toMatchObject({
          value: { reason: "Protocol", code: "ERR_ZMTP_CRYPTOGRAPHIC" }
        })
        expect(yield* knock(boundTo(pull), [Buffer.concat(said)])).not.toContain("READY")
        yield* knocking(boundTo(pull), "good again", { security })
        yield* onlyGets(pull, "good again")
      }).pipe(Effect.provide(secured(Zap.layer({ curve: [ann.publicKey] }))))
    })
  )
})

describe("the user id, which libzmq hands on as a message that nobody reads,", () => {
  const ann = plain("ann")
  const security = Plain.server({ domain: "users" })
  const authenticated = Effect.provide(secured(Zap.layer({ plain: { ann: hush } })))

  const receivers = {
    pull: [Zmq.pull, Zmq.push],
    dealer: [Zmq.dealer, Zmq.dealer],
    router: [Zmq.router, Zmq.dealer],
    pair: [Zmq.pair, Zmq.pair],
    sub: [(options: object) => Zmq.sub({ ...options, subscribe: "" }), Zmq.pub]
  } as const
  for (const [type, [open, openPeer]] of Object.entries(receivers)) {
    it.live(`leaves a ${type} with a high-water mark of 1 room for others`, () =>
      Effect.gen(function* () {
        const socket: Zmq.Pull | Zmq.Router = yield* open({
          bind: tcp,
          security,
          receiveHighWaterMark: 1
        }) as Effect.Effect<Zmq.Pull, Zmq.SocketError, Scope.Scope>
        const peer = yield* openPeer({ connect: boundTo(socket), linger: 0, ...ann })
        if ("awaitSubscribers" in peer) yield* peer.awaitSubscribers("", 1)
        const sent = ["a", "b", "c", "d", "e"]
        for (const text of sent) {
          yield* peer.send(text)
          expect((yield* socket.recv).at(-1)?.toString()).toBe(text)
        }
      }).pipe(authenticated)
    )
  }

  it.live("leaves a REP that room, too", () =>
    Effect.gen(function* () {
      const rep = yield* Zmq.rep({ bind: tcp, security, receiveHighWaterMark: 1 })
      yield* Effect.forkScoped(rep.serve(([text]) => Effect.succeed(`${text}!`)))
      const req = yield* Zmq.req({ connect: boundTo(rep), ...ann })
      for (const text of ["a", "b", "c"]) expect(`${yield* req.request(text)}`).toBe(`${text}!`)
    }).pipe(authenticated)
  )

  it.live("would be a reply to a REQ, which says so when it opens", () =>
    Effect.gen(function* () {
      for (const security of [Plain.server({ domain: "users" }), Null.server({ domain: "users" })]) {
        const opened = yield* Effect.exit(Zmq.req({ bind: tcp, security }))
        if (engineName === "zeromq") {
          const failure = Exit.isFailure(opened) ? failureOf(opened) : undefined
          expect(failure).toBeInstanceOf(Zmq.OptionError)
          expect(`${failure}`).toContain("use a DEALER")
          continue
        }
        const req = Exit.isSuccess(opened) ? opened.value : yield* Effect.die("it did not open")
        const rep = yield* Zmq.rep({ connect: boundTo(req), ...(security._tag === "PlainServer" ? ann : {}) })
        yield* Effect.forkScoped(rep.serve(([text]) => Effect.succeed(`${text}!`)))
        expect(`${yield* req.request("a")}`).toBe("a!")
      }
    }).pipe(Effect.provide(secured(Zap.layer({ plain: { ann: hush }, allow: ["127.0.0.1"] }))))
  )
})

describe("certificates in a folder", () => {
  it.live("are taken as they come and go", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      const [server, ann, bob, eve] = yield* Effect.all(Array(4).fill(Curve.generate) as Array<typeof Curve.generate>)
      yield* Curve.writeCertificate(`${folder}/ann.key`, { ...ann!, metadata: { name: "Ann" } })
      const log = captured()
      yield* Effect.gen(function* () {
        const decisions = yield* decisionsOf
        const pull = yield* Zmq.pull({ bind: tcp, security: Curve.server({ keys: server!, domain: "jobs" }) })
        const asks = (keys: Curve.KeyPair) =>
          Effect.gen(function* () {
            yield* knocking(boundTo(pull), "x", { security: Curve.client({ keys, serverKey: server!.publicKey }) })
            return (yield* next(decisions)).split(" ")[0]
          }).pipe(Effect.scoped)
        const becomes = (keys: Curve.KeyPair, answer: string) => until(Effect.map(asks(keys), (now) => now === answer))

        expect(yield* asks(ann!)).toBe("Accepted")
        expect(yield* asks(bob!)).toBe("Denied")
        yield* Curve.writeCertificate(`${folder}/bob.key`, bob!)
        yield* becomes(bob!, "Accepted")
        yield* fs.remove(`${folder}/ann.key`)
        yield* becomes(ann!, "Denied")
        expect(yield* asks(bob!)).toBe("Accepted")

        // A file that is half there, is none, or is secret, lets in nobody, and does no harm to the others.
        yield* fs.writeFileString(`${folder}/eve.key`, 'curve\n    public-key = "')
        yield* fs.writeFile(`${folder}/noise.key`, Buffer.alloc(100_000))
        yield* fs.copyFile(`${folder}/bob.key_secret`, `${folder}/eve.key_secret`)
        yield* Curve.writeCertificate(`${folder}/eve.key.new`, eve!)
        yield* fs.makeDirectory(`${folder}/folder.key`)
        yield* Curve.writeCertificate(`${folder}/ann.key`, ann!)
        yield* becomes(ann!, "Accepted")
        expect(yield* asks(eve!)).toBe("Denied")
        yield* until(Effect.sync(() => log.lines.filter((line) => line.includes("is no certificate")).length === 2))
        yield* Curve.writeCertificate(`${folder}/eve.key`, eve!)
        yield* becomes(eve!, "Accepted")
        yield* fs.writeFileString(`${folder}/eve.key`, "")
        yield* becomes(eve!, "Denied")

        // The folder itself goes, and comes back.
        yield* fs.rename(folder, `${folder}-away`)
        yield* becomes(bob!, "Denied")
        yield* fs.rename(`${folder}-away`, folder)
        yield* becomes(bob!, "Accepted")
        yield* fs.remove(folder, { recursive: true })
        yield* becomes(bob!, "Denied")
        yield* fs.makeDirectory(folder)
        yield* Curve.writeCertificate(`${folder}/bob.key`, bob!)
        yield* becomes(bob!, "Accepted")
        expect(log.lines.join("")).not.toContain(Redacted.value(bob!.secretKey))
      }).pipe(
        Effect.provide(
          secured(Zap.layer({ curve: Zap.certificates(folder, { rescanInterval: "50 millis" }) }), log.layer)
        )
      )
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("are seen without a rescan where the system tells of them", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      const ann = yield* Curve.generate
      const decide = yield* Zap.certificates(folder, { rescanInterval: "Infinity" })
      const request: Zap.CurveRequest = {
        ...{ domain: "", address: "", identity: new Uint8Array() },
        mechanism: "CURVE",
        publicKey: ann.publicKey
      }
      const asks = Effect.map(decide(request), ({ _tag }) => _tag)
      expect(yield* asks).toBe("Deny")
      yield* Curve.writeCertificate(`${folder}/ann.key`, ann)
      yield* until(Effect.map(asks, (tag) => tag === "Accept"))
      yield* fs.remove(`${folder}/ann.key`)
      yield* until(Effect.map(asks, (tag) => tag === "Deny"))
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("a folder that is not there, or an interval that is none, is told at once", () =>
    Effect.gen(function* () {
      const open = (folder: string, rescanInterval: number) =>
        Layer.build(Zap.layer({ curve: Zap.certificates(folder, { rescanInterval }) })).pipe(
          Effect.scoped,
          Effect.exit,
          Effect.map(failureOf)
        )
      expect(yield* open("/nowhere", 1000)).toMatchObject({ _tag: "PlatformError" })
      expect(yield* open("/tmp", 0)).toMatchObject({ _tag: "OptionError", option: "rescanInterval" })
    }).pipe(Effect.provide(NodeServices.layer))
  )
})

class Users extends Context.Service<Users, { readonly check: (name: string) => Effect.Effect<Zap.Verdict, Error> }>()(
  "test/Users"
) {}

describe("an authenticator of the user's", () => {
  it.live("is given what it needs; one that fails, dies or is interrupted denies", () =>
    Effect.gen(function* () {
      const decisions = yield* decisionsOf
      const pull = yield* Zmq.pull({
        bind: tcp,
        security: Plain.server({ domain: "users" }),
        handshakeInterval: "200 millis",
        receiveTimeout: "1 minute"
      })
      const at = boundTo(pull)
      for (const [name, decision] of [
        ["fails", "Denied Failed 300"],
        ["dies", "Denied Failed 300"],
        ["throws", "Denied Failed 300"],
        ["interrupts", "Denied Failed 300"],
        ["killed", "Denied Failed 300"],
        ["nothing", "Denied Failed 300"],
        ["true", "Denied Failed 300"],
        ["long", "Denied Failed 300"],
        ["denied", "Denied Credentials 400"]
      ] as const) {
        const answers = yield* Effect.forkChild(knock(at, patiently.PLAIN(name, "hush")))
        expect(`${name}: ${yield* next(decisions)}`).toBe(`${name}: ${decision}`)
        expect(yield* Fiber.join(answers)).toEqual(decision.endsWith("400") ? ["ERROR 400"] : [])
      }
      yield* knocking(at, "good", plain("ann"))
      expect(yield* next(decisions)).toBe("Accepted user-17")
      yield* onlyGets(pull, "good")
    }).pipe(
      Effect.provide(
        secured(
          Zap.layer({
            plain: ({ username }) => {
              if (username === "throws") throw new Error("thrown")
              return Users.use(({ check }) => check(username))
            }
          })
        ).pipe(
          Layer.provide(
            Layer.succeed(Users, {
              check: (name) => {
                switch (name) {
                  case "ann":
                    return Effect.as(nextTurn, Zap.accept("user-17"))
                  case "fails":
                    return Effect.fail(new Error("the database is away"))
                  case "dies":
                    return Effect.die("a bug")
                  case "interrupts":
                    return Effect.interrupt
                  case "killed":
                    return Effect.andThen(
                      Effect.withFiber((fiber) => Effect.sync(() => fiber.interruptUnsafe())),
                      Effect.never
                    )
                  case "nothing":
                    return Effect.succeed(undefined as never)
                  case "true":
                    return Effect.succeed(true as never)
                  case "long":
                    return Effect.succeed(Zap.accept("x".repeat(256)))
                  default:
                    return Effect.succeed(Zap.deny("not one of us"))
                }
              }
            })
          )
        )
      )
    )
  )

  it.live("goes on when a logger dies", () =>
    Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: tcp, security: Plain.server({ domain: "users" }) })
      for (const name of ["ann", "eve", "ann"]) {
        expect(yield* knock(boundTo(pull), patiently.PLAIN(name, "hush"))).toEqual(
          name === "ann" ? ["WELCOME", "READY"] : ["ERROR 400"]
        )
      }
    }).pipe(
      Effect.provide(
        secured(
          Zap.layer({ plain: { ann: hush } }),
          Layer.merge(
            Logger.layer([
              Logger.make(({ message }) => {
                if (String(message).includes("ZAP")) throw new Error("the disk is full")
              })
            ]),
            Layer.succeed(References.MinimumLogLevel, "All")
          )
        )
      )
    )
  )

  it.effect("that takes too long denies, by the Clock, even if it cannot be interrupted", () => {
    const asked = Deferred.makeUnsafe<void>()
    const release = Deferred.makeUnsafe<void>()
    return Effect.gen(function* () {
      const decisions = yield* decisionsOf
      const pull = yield* Zmq.pull({ bind: tcp, security: Plain.server({ domain: "users" }) })
      const slow = yield* Effect.forkChild(knock(boundTo(pull), patiently.PLAIN("slow", "hush")))
      yield* Deferred.await(asked)
      yield* TestClock.adjust("4999 millis")
      expect(yield* Queue.size(decisions)).toBe(0)
      yield* TestClock.adjust("1 millis")
      expect(yield* next(decisions)).toBe("Denied TimedOut 300")
      yield* Fiber.interrupt(slow)
      // Its fiber is done with: the layer can close.
      yield* Deferred.succeed(release, undefined)
    }).pipe(
      Effect.provide(
        secured(
          Zap.layer({
            plain: () =>
              Deferred.succeed(asked, undefined).pipe(
                Effect.andThen(Deferred.await(release)),
                Effect.as(Zap.accept()),
                Effect.uninterruptible
              )
          })
        )
      )
    )
  })

  it.live("decides about many at once", () => {
    let asking = 0
    const all = Deferred.makeUnsafe<void>()
    return Effect.gen(function* () {
      const pull = yield* Zmq.pull({ bind: tcp, security: Plain.server({ domain: "users" }) })
      const answers = yield* Effect.forEach(
        numbers(0, 40),
        (n) => knock(boundTo(pull), patiently.PLAIN(`${n}`, "hush")),
        {
          concurrency: "unbounded"
        }
      )
      expect(new Set(answers.map(String))).toEqual(new Set(["WELCOME,READY"]))
    }).pipe(
      Effect.provide(
        secured(
          Zap.layer({
            // Nobody is answered before the last has asked.
            plain: () => {
              if (++asking === 40) Deferred.doneUnsafe(all, Effect.void)
              return Effect.as(Deferred.await(all), Zap.accept())
            }
          })
        )
      )
    )
  })
})

describe("there is always somebody to ask", () => {
  const openServer = (keys: Curve.KeyPair, domain?: string) =>
    Zmq.pull({ bind: tcp, security: Curve.server({ keys, domain }), receiveTimeout: "1 minute" })

  it.live("when the layer has ended, sockets that rely on it let in nobody, until another decides", () =>
    Effect.gen(function* () {
      const [server, ann] = [yield* Curve.generate, yield* Curve.generate]
      const security = Curve.client({ keys: ann, serverKey: server.publicKey })
      // Without a domain: libzmq lets everybody in if there is nobody to ask.
      const pull = yield* openServer(server)
      const at = boundTo(pull)
      const refused = Stream.filter(pull.events, Zmq.SocketEvent.$is("HandshakeFailed")).pipe(
        Stream.runHead,
        Effect.forkChild({ startImmediately: true })
      )
      yield* Effect.scoped(Layer.build(Zap.layer({ curve: [ann.publicKey] })))
      const first = yield* refused
      yield* knocking(at, "intruder", { security })
      expect(yield* Fiber.join(first)).toMatchObject({ value: { reason: "Authentication", status: 300 } })

      const zap = yield* Layer.build(Zap.layer({ curve: [ann.publicKey] }))
      const decisions = yield* decisionsOf.pipe(Effect.provideContext(zap))
      yield* knocking(at, "good", { security })
      expect(yield* next(decisions)).toBe(`Accepted ${ann.publicKey}`)
      yield* onlyGets(pull, "good")
    }).pipe(Effect.provide(alone))
  )

  it.live("and when those are closed, its name is free", () =>
    Effect.gen(function* () {
      const server = yield* Curve.generate
      const serving = yield* Scope.make()
      yield* openServer(server).pipe(Scope.provide(serving))
      const free = Effect.scoped(Zmq.rep({ bind: handlerName })).pipe(
        Effect.as(true),
        Effect.catchTag("BindError", () => Effect.succeed(false))
      )
      expect(yield* free).toBe(true)
      yield* Effect.scoped(Layer.build(Zap.layer({})))
      expect(yield* free).toBe(false)
      yield* Scope.close(serving, Exit.void)
      expect(yield* free).toBe(true)
      yield* Effect.scoped(Layer.build(Zap.layer({})))
      expect(yield* free).toBe(true)
    }).pipe(Effect.provide(alone))
  )

  it.live("also when another could not be opened meanwhile", () =>
    Effect.gen(function* () {
      const keys = yield* Curve.generate
      const pull = yield* openServer(keys)
      const options = { bind: boundTo(pull), security: Curve.server({ keys }) }
      for (let i = 0; i < 2; i++) expect(yield* outcome(Effect.scoped(Zmq.pull(options)))).toBe("BindError")
      yield* Effect.scoped(Layer.build(Zap.layer({})))
      expect(yield* outcome(Effect.scoped(Zmq.rep({ bind: handlerName })))).toBe("BindError")
    }).pipe(Effect.provide(alone))
  )

  it.live("when the fiber that answers ends, however it does", () =>
    Effect.gen(function* () {
      const context = yield* Zmq.Context
      const answer = (text: string) => () => Effect.succeed(text)
      for (const end of [Effect.interrupt, Effect.die("a bug")] as const) {
        yield* Effect.gen(function* () {
          const stop = yield* Deferred.make<void>()
          const fiber = yield* runHandler(context, {
            concurrency: 1,
            answer: ([request]) =>
              `${request}` === "end" ? Effect.andThen(Deferred.succeed(stop, undefined), end) : answer("accepted")(),
            deny: answer("denied")
          })
          const asks = yield* Zmq.dealer({ connect: handlerName })
          expect(texts(yield* asks.request("x"))).toEqual(["accepted"])
          // What it has in hand is answered by the other.
          expect(texts(yield* asks.request("end"))).toEqual(["denied"])
          yield* Fiber.await(fiber)
          expect(texts(yield* asks.request("x"))).toEqual(["denied"])
        }).pipe(Effect.scoped)
      }
      const fiber = yield* runHandler(context, { concurrency: 1, answer: answer("accepted"), deny: answer("denied") })
      const asks = yield* Zmq.dealer({ connect: handlerName })
      yield* Fiber.interrupt(fiber)
      expect(texts(yield* asks.request("x"))).toEqual(["denied"])
    }).pipe(Effect.scoped, Effect.provide(alone))
  )

  it.live("there is one in a context; a second is told so, and does the first no harm", () =>
    Effect.gen(function* () {
      const decisions = yield* decisionsOf
      const again = Layer.build(Zap.layer({})).pipe(Effect.scoped, Effect.flip)
      expect(yield* again).toMatchObject({ _tag: "BindError", reason: "AddressInUse", endpoint: handlerName })
      const other = yield* Effect.exit(
        Layer.build(Zap.layer({})).pipe(Effect.scoped, Effect.provide(Zmq.Context.layer(), { local: true }))
      )
      expect(Exit.isSuccess(other)).toBe(true)
      const pull = yield* Zmq.pull({ bind: tcp, security: Null.server({ domain: "x" }) })
      expect(yield* knock(boundTo(pull), patiently.NULL)).toEqual(["READY"])
      expect(yield* next(decisions)).toBe("Accepted anonymous")
    }).pipe(Effect.provide(secured(Zap.layer({ null: Zap.anybody }))))
  )

  it.live("one that somebody made by hand is not replaced", () =>
    Effect.gen(function* () {
      yield* Zmq.rep({ bind: handlerName })
      const failed = yield* Effect.flip(Effect.scoped(Layer.build(Zap.layer({}))))
      expect(failed).toMatchObject({ _tag: "BindError", reason: "AddressInUse" })
      // The failed one has left nothing behind.
      expect(yield* Effect.flip(Effect.scoped(Layer.build(Zap.layer({}))))).toMatchObject({ _tag: "BindError" })
    }).pipe(Effect.provide(alone))
  )

  it.live("layers that come and go answer each request once", () =>
    Effect.gen(function* () {
      yield* Zmq.pull({ bind: tcp, security: Null.server({ domain: "x" }) })
      yield* Effect.scoped(Layer.build(Zap.layer({})))
      const dealer = yield* Zmq.dealer({ connect: handlerName })
      const [count, ids] = [2000, new Set<string>()]
      const comeAndGo = Effect.gen(function* () {
        yield* Layer.build(Zap.layer({ null: () => Effect.as(nextTurn, Zap.accept()) }))
        for (const _ of numbers(0, 3)) yield* nextTurn
      }).pipe(Effect.scoped)
      yield* Effect.forkScoped(Effect.forever(comeAndGo))
      yield* Effect.forkScoped(
        Effect.forEach(numbers(0, count), (n) =>
          Effect.andThen(
            dealer.send(["", "1.0", `${n}`, "d", "127.0.0.1", "", "NULL"]),
            n % 20 ? Effect.void : nextTurn
          )
        )
      )
      const statuses = new Set<string>()
      for (const _ of numbers(0, count)) {
        const [, , id, status] = texts(yield* dealer.recv)
        statuses.add(status!)
        expect(ids.has(id!)).toBe(false)
        ids.add(id!)
      }
      expect((yield* dealer.tryRecv)._tag).toBe("None")
      expect(statuses).toEqual(new Set(["200", "300"]))
    }).pipe(Effect.provide(alone))
  )

  it.live("nothing is left of 200 that were opened and closed", () =>
    Effect.gen(function* () {
      const once = Effect.gen(function* () {
        const pull = yield* Zmq.pull({ bind: freshEndpoint("ipc"), security: Null.server({ domain: "x" }) })
        yield* knocking(boundTo(pull), "hi")
        expect(yield* pull.recvString).toBe("hi")
      }).pipe(Effect.provide(Zap.layer({ allow: ["ipc"] }), { local: true }), Effect.scoped)
      yield* once
      const before = openFiles()
      for (const _ of numbers(0, 200)) yield* once
      yield* until(Effect.sync(() => openFiles() <= before + 8))
    }).pipe(Effect.provide(alone))
  )
})

describe("requests and replies that are not as they should be", () => {
  it.live("a malformed request is answered once, with a refusal", () =>
    Effect.gen(function* () {
      const decisions = yield* decisionsOf
      const dealer = yield* Zmq.dealer({ connect: handlerName, receiveTimeout: "1 minute" })
      const key = Buffer.alloc(32, 1)
      for (const [request, status] of [
        [["", "2.0", "1", "d", "127.0.0.1", "", "NULL"], "500"],
        [["", "1.0", "1", "d"], "500"],
        [["", "1.0", "1", "d", "127.0.0.1", "", "KERBEROS"], "400"],
        [["", "1.0", "1", "d", "127.0.0.1", "", "CURVE", "short"], "500"],
        [["", "1.0", "1", "d", "127.0.0.1", "", "CURVE", key, key], "500"],
        [["", "1.0", "1", "d", "127.0.0.1", "", "NULL"], "200"]
      ] as const) {
        yield* dealer.send(request)
        const reply = texts(yield* dealer.recv)
        expect(reply).toHaveLength(7)
        expect(reply.slice(0, 4)).toEqual(["", "1.0", "1", status])
        yield* next(decisions)
      }
      // Without a delimiter, without anything: answered or not, it does no harm.
      for (const request of [["1.0", "1", "d"], [""], ["", ""], ["", "", "", "", "", "", "", "", ""]] as const) {
        yield* dealer.send(request)
        expect(yield* next(decisions)).toBe("Denied Malformed 500")
      }
      yield* dealer.send(["", "1.0", "last", "d", "127.0.0.1", "", "NULL"])
      yield* until(Effect.map(dealer.recv, (reply) => `${reply[2]}` === "last" && `${reply[3]}` === "200"))
    }).pipe(Effect.provide(secured(Zap.layer({ allow: ["127.0.0.1"] }))))
  )

  // What libzmq makes of the replies of an authenticator that is not ours.
  const good = ["1.0", "1", "200", "OK", "user", ""] as const
  it.live.each<[string, ReadonlyArray<string>, object]>([
    ["too short", good.slice(0, 5), { code: "ERR_ZAP_MALFORMED_REPLY" }],
    ["too long", [...good, ""], { code: "ERR_ZAP_MALFORMED_REPLY" }],
    ["of another version", ["1.1", ...good.slice(1)], { code: "ERR_ZAP_BAD_VERSION" }],
    ["to another request", ["1.0", "2", ...good.slice(2)], { code: "ERR_ZAP_BAD_REQUEST_ID" }],
    ["with another status", ["1.0", "1", "201", "", "", ""], { code: "ERR_ZAP_INVALID_STATUS_CODE" }],
    ["with broken metadata", [...good.slice(0, 5), "\x05abc"], { code: "ERR_ZAP_INVALID_METADATA" }],
    ["300", ["1.0", "1", "300", "", "", ""], { status: 300 }],
    ["400", ["1.0", "1", "400", "", "", ""], { status: 400 }],
    ["500", ["1.0", "1", "500", "", "", ""], { status: 500 }]
  ])("nobody gets in by a reply that is %s", ([what, reply, expected]) =>
    Effect.gen(function* () {
      // Which is somebody else's, to an engine that asks all by one pipe.
      if (what === "to another request" && engineName === "zmtp") return
      const server = yield* Curve.generate
      const rep = yield* Zmq.rep({ bind: handlerName })
      // "1" is what each request of libzmq has for its id.
      const toIt = (id: Buffer) => reply.map((frame, i) => (i === 1 && frame === "1" ? id : frame))
      yield* Effect.forkScoped(rep.serve(([, id]) => Effect.succeed(toIt(id!) as unknown as Zmq.Outgoing)))
      for (const security of [
        Null.server({ domain: "x" }),
        Plain.server({ domain: "x" }),
        Curve.server({ keys: server })
      ]) {
        const pull = yield* Zmq.pull({ bind: tcp, security })
        const failed = yield* Stream.filter(pull.events, Zmq.SocketEvent.$is("HandshakeFailed")).pipe(
          Stream.runHead,
          Effect.forkChild({ startImmediately: true })
        )
        const client =
          security._tag === "NullServer"
            ? {}
            : security._tag === "PlainServer"
              ? plain("ann")
              : { security: Curve.client({ keys: yield* Curve.generate, serverKey: server.publicKey }) }
        yield* knocking(boundTo(pull), "intruder", client)
        // What makes no sense is a 500 to the other engine.
        const value = byEngine({ zeromq: expected, zmtp: "status" in expected ? expected : { status: 500 } })
        expect(yield* Fiber.join(failed)).toMatchObject({ value })
        expect((yield* pull.tryRecv)._tag).toBe("None")
      }
    }).pipe(Effect.provide(alone))
  )

  it.live("a reply that comes twice, or comes again with another status, changes nothing", () =>
    Effect.gen(function* () {
      const router = yield* Zmq.router({ bind: handlerName })
      const pull = yield* Zmq.pull({ bind: tcp, security: Null.server({ domain: "x" }), receiveTimeout: "1 minute" })
      const answered = yield* Queue.unbounded<readonly [Buffer, Buffer, Buffer]>()
      const statuses = ["400", "400", "200"]
      yield* Effect.forkScoped(
        router.runForEach(([id, delimiter, , requestId]) =>
          Effect.gen(function* () {
            const status = statuses.shift()!
            yield* router.send([id, delimiter!, "1.0", requestId!, status, "", "", ""])
            yield* Queue.offer(answered, [id, delimiter!, requestId!])
          })
        )
      )
      for (const expected of ["ERROR 400", "ERROR 400", "READY"]) {
        expect(yield* knock(boundTo(pull), [greeting("NULL"), ready, message("good")])).toEqual([expected])
        const [id, delimiter, requestId] = yield* Queue.take(answered)
        // The one that it was for may have gone.
        yield* Effect.ignore(router.send([id, delimiter, "1.0", requestId, "200", "", "", ""]))
      }
      yield* onlyGets(pull, "good")
      expect((yield* pull.tryRecv)._tag).toBe("None")
    }).pipe(Effect.provide(alone))
  )
})

it.live("decisions have any number of subscribers, and end with the layer", () =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const zap = Context.get(yield* Layer.buildWithScope(Zap.layer({ allow: ["127.0.0.1"] }), scope), Zap.Zap)
    const all = yield* Effect.forEach(numbers(0, 3), () =>
      Effect.forkChild(Stream.runCollect(zap.decisions), { startImmediately: true })
    )
    // One that reads nothing holds up nobody.
    const stuck = yield* Effect.forkChild(
      Stream.runForEach(zap.decisions, () => Effect.never),
      { startImmediately: true }
    )
    const pull = yield* Zmq.pull({ bind: tcp, security: Null.server({ domain: "x" }) })
    for (const _ of numbers(0, 20)) yield* knock(boundTo(pull), patiently.NULL)
    yield* Scope.close(scope, Exit.void)
    for (const fiber of all)
      expect((yield* Fiber.join(fiber)).map(({ _tag }) => _tag)).toEqual(Array(20).fill("Accepted"))
    expect(yield* Stream.runCollect(zap.decisions)).toEqual([])
    yield* Fiber.interrupt(stuck)
  }).pipe(Effect.provide(alone))
)

describe("what strangers can put into the log", () => {
  const warnings = (lines: ReadonlyArray<string>): ReadonlyArray<string> =>
    lines
      .map((line): { readonly level: string; readonly message: string } => JSON.parse(line))
      .flatMap(({ level, message }) => (level === "DEBUG" || level === "TRACE" ? [] : [message]))

  it.live("is bounded, from however many addresses they come", () => {
    const log = captured()
    return Effect.gen(function* () {
      const asker = yield* Zmq.dealer({ connect: handlerName })
      const ask = (address: string) => asker.send(["", "1.0", "1", "users", address, "", "NULL"])
      const last = Effect.map(asker.recv, (frames) => frames[3]?.toString())
      for (const number of numbers(0, 1000)) {
        yield* ask(`10.0.${number >> 8}.${number & 255}`)
        yield* ask("127.0.0.1")
        expect([yield* last, yield* last].sort()).toEqual(["200", "400"])
      }
      expect(warnings(log.lines)).toEqual(
        Array(100).fill("effect-zmq: ZAP denied a peer: the address is not in `allow`")
      )
    }).pipe(Effect.provide(secured(Zap.layer({ allow: ["127.0.0.1"] }), log.layer)))
  })

  it.live(
    "is one warning for a denied peer, of the authenticator; or of the socket, where that is somebody else's",
    () =>
      Effect.gen(function* () {
        const keys = yield* Curve.generate
        const strangers = yield* Curve.generate
        const denied = Effect.gen(function* () {
          const pull = yield* Zmq.pull({ bind: tcp, security: Curve.server({ keys, domain: "x" }) })
          const knocks = Zmq.push({
            connect: boundTo(pull),
            linger: 0,
            security: Curve.client({ keys: strangers, serverKey: keys.publicKey })
          }).pipe(Effect.provide(Logger.layer([])))
          yield* knocks
          yield* pull.events.pipe(
            Stream.takeUntil(({ _tag }) => _tag === "HandshakeFailed"),
            Stream.runDrain
          )
          yield* nextTurn
        })
        const ours = captured()
        yield* denied.pipe(Effect.scoped, Effect.provide(secured(Zap.layer({ curve: [] }), ours.layer)))
        expect(warnings(ours.lines)).toEqual(["effect-zmq: ZAP denied a peer: the public key is unknown"])
        const theirs = captured()
        yield* Effect.gen(function* () {
          const rep = yield* Zmq.rep({ bind: handlerName })
          yield* Effect.forkScoped(rep.serve(([, id]) => Effect.succeed(["1.0", id!, "400", "", "", ""])))
          yield* denied
        }).pipe(Effect.scoped, Effect.provide(Layer.merge(Zmq.Context.layer(), theirs.layer)))
        expect(warnings(theirs.lines)).toEqual([
          expect.stringMatching(/^effect-zmq: a pull socket and its peer did not accept each other/)
        ])
      })
  )
})
