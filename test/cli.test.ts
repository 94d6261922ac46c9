/** The command `ezmq`, as processes and in pipes. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { anyPort, build, clean, endAll, engine, Running, run, shell, shellLine, start } from "./support/ezmq.ts"

const folder = mkdtempSync(join(tmpdir(), "ezmq-test-"))
beforeAll(build)
afterAll(() => {
  clean()
  rmSync(folder, { recursive: true, force: true })
})
afterEach(endAll)

const lines = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, i) => `${from + i}\n`).join("")

/** An error is a line that says who speaks, and no stack. */
const oneLine = /^ezmq: [^\n]+\n$/

describe("push and pull", () => {
  it("take lines, through several endpoints, and end well", async () => {
    const pull = start("pull", "--bind", anyPort, "-b", anyPort, "--count", "4")
    await pull.until(() => pull.stderr.split("listening on").length === 3)
    const [one, other] = [...pull.stderr.matchAll(/listening on (\S+)/g)].map(([, endpoint]) => endpoint!)
    expect(await start("push", one!).input("a\nb\n").ended).toEqual({ code: 0, signal: null, stdout: "", stderr: "" })
    expect(await start("push", "--connect", other!, "c").ended).toMatchObject({ code: 0, stderr: "" })
    await pull.until(() => pull.stdout === "a\nb\nc\n")
    expect(await start("push", `>${other}`, "d", "e").ended).toMatchObject({ code: 0, stderr: "" })
    expect(await pull.ended).toMatchObject({ code: 0, stdout: "a\nb\nc\nd\te\n" })
  })

  it("read no faster than they send", async () => {
    const push = start("push", "--bind", anyPort)
    const endpoint = await push.endpoint()
    const all = lines(0, 100_000)
    push.input(all)
    await push.until(() => push.stderr.includes("waiting for a peer"))
    // What is not read waits on our side of the pipe.
    expect(push.child.stdin!.writableLength).toBeGreaterThan(all.length / 2)
    const pull = await start("pull", endpoint, "--count", "100000").ended
    expect(pull.stdout === all).toBe(true)
    expect((await push.ended).code).toBe(0)
  })

  it("write what has come when they are told to end", async () => {
    const pull = start("pull", "--bind", anyPort, "--verbose")
    const endpoint = await pull.endpoint()
    // Who reads what it writes does not, and so most of it waits in the socket.
    pull.child.stdout!.pause()
    const all = Array.from({ length: 500 }, (_, i) => `${`${i}`.padEnd(4_000, ".")}\n`).join("")
    expect((await start("push", endpoint).input(all).ended).code).toBe(0)
    await pull.until(() => pull.stderr.includes("Disconnected"))
    pull.child.kill("SIGTERM")
    pull.child.stdout!.resume()
    const { code, stdout } = await pull.ended
    expect([code, stdout.length, stdout === all]).toEqual([130, all.length, true])
  })

  it("deliver what they have sent when they are told to end", async () => {
    const pull = start("pull", "--bind", anyPort, "--count", "100")
    const push = start("push", await pull.endpoint(), "--verbose")
    // There is room for them all at once, and the pipe stays open.
    push.child.stdin!.write(lines(0, 100))
    await pull.until(() => pull.stdout !== "")
    push.child.kill("SIGINT")
    expect((await push.ended).code).toBe(130)
    expect(await pull.ended).toMatchObject({ code: 0, stdout: lines(0, 100) })
  })

  it("say so when the linger passes before all is delivered", async () => {
    const pull = start("pull", "--bind", anyPort)
    const push = start("push", await pull.endpoint(), "--format", "raw", "--linger", "300ms", "--verbose")
    await push.until(() => push.stderr.includes("HandshakeSucceeded"))
    pull.child.kill("SIGSTOP")
    // More than the kernel takes for a peer that reads nothing: its buffers may grow to 36 MiB.
    push.input(Buffer.alloc(80_000_000))
    const { code, stderr } = await push.ended
    expect([code, stderr.includes("see --linger")]).toEqual([1, true])
  })

  it("run a command for each message, which no message can change", async () => {
    const trap = `$(touch ${folder}/trap); "; touch ${folder}/trap #`
    const pull = start("pull", "--bind", anyPort, "-n", "2", "--exec", "echo [{}] $(cat)")
    const push = await start("push", await pull.endpoint()).input(`${trap}\nplain\n`).ended
    expect(push.code).toBe(0)
    expect((await pull.ended).stdout).toBe(`[${trap}] ${trap}\n[plain] plain\n`)
    expect(() => statSync(`${folder}/trap`)).toThrow()
  })

  it("have a program of PyZMQ at the other end", async () => {
    const code =
      "import sys, zmq; c = zmq.Context(); a = c.socket(zmq.PULL); a.connect(sys.argv[1]); b = c.socket(zmq.PUSH); b.connect(sys.argv[2])\n" +
      "for _ in range(3): b.send_multipart(a.recv_multipart() + [b'seen'])\n" +
      "c.destroy(linger=30000)"
    const pull = start("pull", "--bind", anyPort, "-n", "3", "-f", "json")
    const push = start("push", "--bind", anyPort)
    const python = new Running("/usr/bin/python3", ["-c", code, await push.endpoint(), await pull.endpoint()])
    push.input("a\tb\n{}\n\u00e9\n")
    expect(await python.ended).toMatchObject({ code: 0, stderr: "" })
    expect((await pull.ended).stdout).toBe('["a","b","seen"]\n[{},"seen"]\n["\u00e9","seen"]\n')
  })
})

// These are not about sockets: once is enough.
describe.skipIf(engine === "zmtp")("formats", () => {
  const through = async (input: string | Uint8Array, sent: ReadonlyArray<string>, got: ReadonlyArray<string>) => {
    const pull = start("pull", "--bind", anyPort, "-n", "1", ...got)
    const push = await start("push", await pull.endpoint(), ...sent).input(input).ended
    expect(push).toMatchObject({ code: 0, stderr: "" })
    await pull.ended
    return pull.bytes
  }

  it.each([
    ["json", '["topic",{"n":1},"",{"base64":"/wA="}]\n'],
    ["json", '{"n": 12345678901234567890}\n'],
    ["json", '{"a":[1,2]}\n'],
    ["json", "[[1,2]]\n"],
    ["json", '"text"\n'],
    ["hex", "00ff\t\t68690a\n"],
    ["msgpack", '[{"a":[1,null,true,"x"],"b":{"base64":"/wA="}},"text",-1.5]\n'],
    ["text", "two\tframes\n"]
  ])("%s writes what it reads: %s", async (format, line) => {
    expect((await through(line, ["-f", format], ["-f", format])).toString()).toBe(line)
  })

  it("text may have newlines where a NUL ends it, and raw is all there is to read", async () => {
    expect((await through("a\nb\0", ["-0"], ["-0"])).toString()).toBe("a\nb\0")
    const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, i) => (i * 7) % 256))
    expect((await through(bytes, ["-f", "raw"], ["-f", "raw"])).equals(bytes)).toBe(true)
  })

  it("MessagePack is that on the wire", async () => {
    expect((await through('{"a":1}\n', ["-f", "msgpack"], ["-f", "hex"])).toString()).toBe("81a16101\n")
  })

  it("names the message that is none, and sends those before it", async () => {
    const pull = start("pull", "--bind", anyPort, "-n", "2")
    const push = await start("push", await pull.endpoint(), "-f", "json").input("1\n2\n{\n").ended
    expect([push.code, push.stderr]).toEqual([1, expect.stringMatching(oneLine)])
    expect(push.stderr).toContain("message 3")
    expect((await pull.ended).stdout).toBe("1\n2\n")
  })
})

describe("pub and sub", () => {
  it("wait for the subscriber, and pass topics, at an interval", async () => {
    const pub = start("pub", "--bind", anyPort, "--topic", "news.a", "--interval", "10ms", "--count", "3", "hello")
    const sub = await start("sub", await pub.endpoint(), "news.", "-n", "3").ended
    expect(sub).toMatchObject({ code: 0, stdout: "news.a\thello\n".repeat(3) })
    expect((await pub.ended).code).toBe(0)
  })

  it("end without a word when their reader does", async () => {
    const pub = start("pub", "--bind", anyPort, "--interval", "10ms", "tick")
    const sub = shell(`(${shellLine("sub", await pub.endpoint())}; echo code $? >&2) | head -n 1`)
    expect(await sub.ended).toMatchObject({ stdout: "tick\n", stderr: "code 0\n" })
    pub.child.kill("SIGINT")
    expect((await pub.ended).code).toBe(130)
  })

  it("record, and write and replay the record", async () => {
    const file = join(folder, "record.jsonl")
    const pub = start("pub", "--bind", anyPort, "-f", "hex", "-n", "2").input("00ff\t01\n02\n")
    const sub = await start("sub", await pub.endpoint(), "--record", file, "-n", "2", "-f", "hex").ended
    expect(sub.stdout).toBe("00ff\t01\n02\n")
    expect((await run("cat", file, "-f", "hex")).stdout).toBe(sub.stdout)
    expect((await run("cat", file, "-f", "hex", "--replay", "--speed", "10", "-n", "1")).stdout).toBe("00ff\t01\n")
    writeFileSync(file, `${readFileSync(file, "utf8")}{"at":"2026-01-01T00:00:00Z","frames":["AA==`)
    const cut = await run("cat", file, "-f", "hex")
    expect(cut).toMatchObject({ code: 1, stdout: sub.stdout, stderr: expect.stringMatching(oneLine) })
    expect(cut.stderr).toContain("line 3")
  })

  it("replays at the pace at which it came", async () => {
    const file = join(folder, "slow.jsonl")
    const one = (seconds: number) => `{"at":"2026-01-01T00:00:0${seconds}.000Z","frames":["eA=="]}\n`
    writeFileSync(file, one(0) + one(4))
    const began = performance.now()
    const { stdout } = await run("cat", file, "--replay", "--speed", "2")
    expect([stdout, performance.now() - began >= 2_000]).toEqual(["x\nx\n", true])
  })
})

describe("req and rep", () => {
  it("ask line by line, and are echoed", async () => {
    const rep = start("rep", "--bind", anyPort, "--echo")
    const req = await start("req", await rep.endpoint()).input("one\ntwo\tframes\n").ended
    expect(req).toMatchObject({ code: 0, stdout: "one\ntwo\tframes\n", stderr: "" })
    rep.child.kill("SIGINT")
    expect(await rep.ended).toMatchObject({ code: 130, stdout: "one\ntwo\tframes\n" })
  })

  it("reply as they are told: always the same, by a program, by hand", async () => {
    const ask = async (...args: ReadonlyArray<string>) => {
      const rep = start("rep", "--bind", anyPort, "-n", "1", ...args).input("by hand\n")
      const req = await start("req", await rep.endpoint(), "question").ended
      expect((await rep.ended).code).toBe(0)
      return req.stdout
    }
    expect(await ask("pong")).toBe("pong\n")
    expect(await ask("--exec", "tr a-z A-Z")).toBe("QUESTION\n")
    expect(await ask("--exec", "exit 3")).toBe("\n")
    expect(await ask()).toBe("by hand\n")
  })

  it("say within which time there was no reply", async () => {
    const req = await run("req", "tcp://127.0.0.1:1", "hello", "--timeout", "100ms")
    expect([req.code, req.stdout, req.stderr]).toEqual([124, "", "ezmq: no reply within 100ms\n"])
  })
})

describe("dealer, router and pair", () => {
  it("talk both ways", async () => {
    const router = start("router", "--bind", anyPort, "-f", "hex")
    const dealer = start("dealer", await router.endpoint(), "-n", "1", "hi", "you")
    await router.until(() => router.stdout.endsWith("\n"))
    const [id, ...rest] = router.stdout.trim().split("\t")
    expect(rest).toEqual(["6869", "796f75"])
    router.child.stdin!.write(`${id}\t6f6b\n`)
    expect((await dealer.ended).stdout).toBe("ok\n")
    const left = start("pair", "--bind", anyPort)
    const right = start("pair", await left.endpoint())
    left.child.stdin!.write("to the right\n")
    right.child.stdin!.write("to the left\n")
    await left.until(() => left.stdout === "to the left\n")
    await right.until(() => right.stdout === "to the right\n")
  })
})

describe("proxy, watch and bench", () => {
  it("pass on, and count", async () => {
    const proxy = start("proxy", "queue", "--frontend", anyPort, "--backend", anyPort, "--interval", "10ms")
    await proxy.until(() => proxy.stderr.split("listening on").length === 3)
    const [front, back] = [...proxy.stderr.matchAll(/listening on (\S+)/g)].map(([, endpoint]) => endpoint!)
    start("rep", "--echo", back!)
    expect((await start("req", front!, "-n", "5", "hi").ended).stdout).toBe("hi\n".repeat(5))
    await proxy.until(() => proxy.stdout.includes("5 requests (") && proxy.stdout.includes("5 replies ("))
    proxy.child.kill("SIGINT")
    expect((await proxy.ended).code).toBe(130)
  })

  it("pass on topics, and jobs with a copy", async () => {
    const forwarder = start("proxy", "forwarder", "--frontend", anyPort, "--backend", anyPort)
    await forwarder.until(() => forwarder.stderr.split("listening on").length === 3)
    const [front, back] = [...forwarder.stderr.matchAll(/listening on (\S+)/g)].map(([, endpoint]) => endpoint!)
    const sub = start("sub", back!, "a", "-n", "1")
    await start("pub", front!, "abc").ended
    expect((await sub.ended).stdout).toBe("abc\n")
    const streamer = start("proxy", "streamer", "--frontend", anyPort, "--backend", anyPort)
    await streamer.until(() => streamer.stderr.split("listening on").length === 3)
    const [jobs, workers] = [...streamer.stderr.matchAll(/listening on (\S+)/g)].map(([, endpoint]) => endpoint!)
    const worker = start("pull", workers!, "-n", "1")
    await start("push", jobs!, "job").ended
    expect((await worker.ended).stdout).toBe("job\n")
  })

  it("tell what becomes of a connection, and of an attempt once", async () => {
    const watch = start("watch", "--bind", anyPort, "--json", "--as", "pull")
    const endpoint = await watch.endpoint()
    await start("push", endpoint, "hi").ended
    await watch.until(() => watch.stdout.includes('"Disconnected"'))
    const events = watch.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { readonly event: string })
    const names = events.map(({ event }) => event)
    expect(names.slice(0, 3)).toEqual(["Listening", "Accepted", "HandshakeSucceeded"])
    const up = await run("watch", endpoint, "--as", "push", "--until", "HandshakeSucceeded", "--timeout", "60s")
    expect([up.code, up.stdout.split("\n").at(-2)]).toEqual([0, expect.stringContaining("HandshakeSucceeded")])
    const down = await run("watch", "tcp://127.0.0.1:1", "--until", "Connected", "--timeout", "2s")
    expect(down.code).toBe(124)
    expect(down.stdout.match(/ConnectRetried/g)).toHaveLength(1)
  })

  it("measure both ways", async () => {
    const server = start("bench", "server", "--bind", anyPort)
    const client = await start("bench", "client", await server.endpoint(), "-n", "2500", "--rounds", "20", "--json")
      .ended
    expect(JSON.parse(client.stdout)).toMatchObject({ engine, messages: 2500, size: 100 })
    await server.until(() => server.stdout.startsWith("2,500 messages, 250,000 bytes in "))
  })
})

describe("keys and passwords", () => {
  it("are made, checked, and let in whom they are of", async () => {
    const at = (name: string) => join(folder, name)
    expect((await run("keygen", at("server"))).code).toBe(0)
    const made = await run("keygen", "--folder", at("clients"), "alice", "bob", "--metadata", "team=maps")
    expect(made.stdout.split("\n").map((line) => line.split("\t")[1])).toEqual([
      at("clients/alice.key"),
      at("clients/bob.key"),
      undefined
    ])
    expect(statSync(at("clients/alice.key_secret")).mode & 0o777).toBe(0o600)
    expect(await run("keygen", at("server"))).toMatchObject({ code: 1, stderr: expect.stringMatching(oneLine) })

    const checked = await run("zap", at("clients"))
    expect([checked.code, checked.stdout.match(/alice\.key\tteam=maps/) !== null]).toEqual([0, true])
    expect((await run("zap", at("clients"), at("clients/bob.key"))).code).toBe(0)
    expect((await run("zap", at("clients"), at("server.key"))).code).toBe(1)
    writeFileSync(at("clients/bad.key"), 'curve\n    public-key = "short"\n')
    const bad = await run("zap", at("clients"))
    expect([bad.code, bad.stderr.includes("bad.key"), bad.stdout.split("\n").length]).toEqual([1, true, 3])

    const pull = start(
      "pull",
      "--bind",
      anyPort,
      "--key",
      at("server.key_secret"),
      "--clients",
      at("clients"),
      "-n",
      "1"
    )
    const endpoint = await pull.endpoint()
    const stranger = start("push", endpoint, "--server-key", at("server.key"), "no")
    await pull.until(() => /warn: .*denied/i.test(pull.stderr))
    expect(pull.stdout).toBe("")
    stranger.child.kill("SIGINT")
    const key = at("clients/alice.key_secret")
    expect((await start("push", endpoint, "--server-key", at("server.key"), "--key", key, "yes").ended).code).toBe(0)
    expect((await pull.ended).stdout).toBe("yes\n")
  })

  it("may be names and passwords", async () => {
    writeFileSync(join(folder, "users"), "# who may come in\nann:secret\n")
    writeFileSync(join(folder, "password"), "secret\n")
    const rep = start("rep", "--bind", anyPort, "--echo", "--users", join(folder, "users"))
    const req = await start(
      "req",
      await rep.endpoint(),
      "--user",
      "ann",
      "--password-file",
      join(folder, "password"),
      "hi"
    ).ended
    expect(req).toMatchObject({ code: 0, stdout: "hi\n" })
  })
})

describe.skipIf(engine === "zmtp")("usage", () => {
  it.each([
    [["sub", "--fromat", "json"], "--fromat"],
    [["sub"], "--bind"],
    [["sub", "localhost:5556"], "is no endpoint"],
    [["pull", "--count", "0", "tcp://127.0.0.1:1"], "whole number"],
    [["pull", "--timeout", "soon", "tcp://127.0.0.1:1"], "500ms"],
    [["rep", "tcp://127.0.0.1:1", "--echo", "--exec", "cat"], "one of"],
    [["pull", "--bind", "tcp://127.0.0.1:1", "--clients", "."], "--key"],
    [["proxy", "queue", "--frontend", anyPort], "--backend"],
    [["nonsense"], "nonsense"]
  ])("that is wrong ends with 2, and says what is: %j", async (args, said) => {
    const { code, stderr, stdout } = await run(...args)
    expect([code, stdout]).toEqual([2, ""])
    expect(stderr).toContain(said)
    expect(stderr.split("\n").length).toBeLessThanOrEqual(4)
  })

  it.each([
    [["pull", "--bind", "tcp://127.0.0.1:99999"], "port"],
    [["push", "tcp://127.0.0.1:1", "--server-key", "/nowhere.key", "x"], "/nowhere.key"],
    [["cat", "/nowhere.jsonl"], "/nowhere.jsonl"],
    [["zap", "/nowhere"], "/nowhere"]
  ])("that fails ends with 1, in a line without a stack: %j", async (args, said) => {
    const { code, stderr } = await run(...args)
    expect([code, stderr]).toEqual([1, expect.stringMatching(oneLine)])
    expect(stderr).toContain(said)
  })

  it("has help of eighty columns, and completions that shells can read", async () => {
    const root = await run("--help")
    const names = [...root.stdout.matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name]) => name!)
    expect(names.length).toBeGreaterThanOrEqual(15)
    const pages = await Promise.all(names.map((name) => run(name, "--help")))
    for (const { code, stdout } of [root, ...pages]) {
      expect(code).toBe(0)
      expect(stdout).toContain("Examples:")
      expect(stdout.split("\n").filter((line) => line.length > 80)).toEqual([])
    }
    const { stdout } = await run("--completions", "bash")
    for (const name of names) expect(stdout).toContain(name)
    expect(await shell("bash -n").input(stdout).ended).toMatchObject({ code: 0, stderr: "" })
  })
})
