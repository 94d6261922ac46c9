import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, type Scope } from "effect"
import { Zmq } from "effect-zmq"
import { afterAll, describe, expect, it } from "vitest"
import { hostToResolve } from "../src/internal/endpoint.ts"
import { checkBind, checkConnect } from "../src/internal/socket/endpointCheck.ts"
import { faultOf } from "../src/internal/socket/endpointError.ts"
import { ofBinding } from "./support/byEngine.ts"
import { nodeArguments, runCommand } from "./support/child.ts"

const longest = process.platform === "linux" ? 107 : 103
const folder = mkdtempSync(join(tmpdir(), "endpoint-"))
const file = join(folder, "file")
writeFileSync(file, "precious")
afterAll(() => rmSync(folder, { recursive: true }))

const nowhere = [
  "",
  "tcp",
  "tcp:",
  "://a",
  "127.0.0.1:5555",
  "tcp://",
  "tcp://127.0.0.1",
  "tcp://127.0.0.1:",
  "tcp://:5555",
  "tcp://127.0.0.1:65536",
  "tcp://127.0.0.1:99999",
  "tcp://127.0.0.1:4294967297",
  "tcp://127.0.0.1:-1",
  "tcp://127.0.0.1:+5555",
  "tcp://127.0.0.1: 5555",
  "tcp://127.0.0.1:5555 ",
  "tcp://127.0.0.1:http",
  "tcp://127.0.0.1:12a",
  "tcp://127.0.0.1:5555/path",
  "tcp://127.0.0.1:5555\0",
  "tcp:// 127.0.0.1:5555",
  "tcp://a b:5555",
  "tcp://999.1.1.1:5555",
  "tcp://[::1]",
  "tcp://::1",
  "tcp://fe80::1",
  "tcp://[::g]:5555",
  "tcp://[]:5555",
  "ws://127.0.0.1",
  "ws://",
  "ws:///path",
  "ws://127.0.0.1:99999/path",
  "ws://127.0.0.1:5555?query",
  "ws://127.0.0.1:5555/a b",
  "ws://127.0.0.1:5555/a\r\nb",
  "ws://127.0.0.1:5555/ä",
  `ws://127.0.0.1:5555/${"x".repeat(512)}`,
  "ws://eth0:0;127.0.0.1:5555",
  "ws://eth0:0;localhost:5555/path",
  "ipc://",
  "ipc://@",
  "ipc://*a",
  `ipc:///${"x".repeat(longest)}`,
  `ipc://${"é".repeat(60)}`,
  "ipc:///tmp/a\0b",
  "inproc://",
  `inproc://${"x".repeat(257)}`,
  "inproc://a\0b",
  "tipc://x"
]

const unsupported = [
  "foo://x",
  "TCP://127.0.0.1:5555",
  "http://127.0.0.1:5555",
  "pgm://eth0;239.192.1.1:5555",
  "epgm://eth0;239.192.1.1:5555",
  "norm://1:5555",
  "wss://127.0.0.1:5555",
  "udp://127.0.0.1:5555",
  "vmci://1:2"
]

const both = [
  "tcp://127.0.0.1:1",
  "tcp://127.0.0.1:65535",
  "tcp://127.0.0.1:05555",
  "tcp://localhost:5555",
  "tcp://eth0:5555",
  "tcp://[::1]:5555",
  "tcp://::1:5555",
  "tcp://[fe80::1%eth0]:5555",
  "ws://127.0.0.1:5555/path",
  "ws://[::1]:5555/",
  `ws://127.0.0.1:5555/${"x".repeat(511)}`,
  "ipc:///tmp/a.sock",
  "ipc://relative.sock",
  `ipc:///${"x".repeat(longest - 1)}`,
  "inproc://a",
  "inproc://*",
  `inproc://${"x".repeat(256)}`,
  "tipc://{5560,0}",
  "tipc://{5560,0,0}",
  ...(process.platform === "linux" ? ["ipc://@abstract"] : [])
]

describe("bind", () => {
  it.each([
    ...both,
    "tcp://*:*",
    "tcp://127.0.0.1:*",
    "tcp://127.0.0.1:0",
    "tcp://eth0:1:5555",
    "ws://*:*/path",
    "ipc://*",
    "tipc://<*>"
  ])("takes %s", (endpoint) => {
    expect(checkBind(endpoint)).toBeUndefined()
  })

  it.each([...nowhere, "tcp://eth0:0;127.0.0.1:5555", "ws://127.0.0.1:5555/a/b"])("refuses %j", (endpoint) => {
    expect(checkBind(endpoint)?.reason).toBe("InvalidEndpoint")
  })

  it.each(unsupported)("has no transport for %s", (endpoint) => {
    expect(checkBind(endpoint)?.reason).toBe("UnsupportedTransport")
  })

  it("spares a file, which libzmq would delete", () => {
    expect(checkBind(`ipc://${file}`)?.reason).toBe("AddressInUse")
    expect(checkBind(`ipc://${folder}`)?.reason).toBe("AddressInUse")
    expect(checkBind(`ipc://${folder}/free`)).toBeUndefined()
    expect(checkConnect(`ipc://${file}`)).toBeUndefined()
  })
})

describe("connect", () => {
  it.each([
    ...both,
    "tcp://eth0:0;192.168.1.1:5555",
    "tcp://127.0.0.1:5556;127.0.0.1:5555",
    "tcp://my_host.:5555",
    "ws://example.org:5555/a/b?c=d"
  ])("takes %s", (endpoint) => {
    expect(checkConnect(endpoint)).toBeUndefined()
  })

  it.each([
    ...nowhere,
    "tcp://*:5555",
    "tcp://127.0.0.1:*",
    "tcp://127.0.0.1:0",
    "ws://*:5555",
    "ws://127.0.0.1:0/path",
    "tcp://bücher.example:5555",
    "tcp://-a:5555",
    "tcp://eth0;127.0.0.1:5555",
    "tcp://eth0:99999;127.0.0.1:5555",
    "tcp://*:0;127.0.0.1:5555",
    "tcp://eth0:0;",
    "ipc://*",
    "tipc://<*>"
  ])("refuses %j", (endpoint) => {
    expect(checkConnect(endpoint)?.reason).toBe("InvalidEndpoint")
  })

  it.each(unsupported)("has no transport for %s", (endpoint) => {
    expect(checkConnect(endpoint)?.reason).toBe("UnsupportedTransport")
  })
})

// libzmq aborts the process at a message of two frames that comes over inproc.
it.each(["inproc://a", "ws://127.0.0.1:5555"])("has no STREAM over %s, and only that", (endpoint) => {
  expect(checkBind(endpoint, "rawStream")?.reason).toBe("UnsupportedTransport")
  expect(checkConnect(endpoint, "rawStream")?.reason).toBe("UnsupportedTransport")
  expect(checkBind(endpoint, "pair")).toBeUndefined()
  for (const other of ["tcp://127.0.0.1:5555", "ipc:///tmp/effect-zmq"]) {
    expect(checkBind(other, "rawStream")).toBeUndefined()
    expect(checkConnect(other, "rawStream")).toBeUndefined()
  }
})

it.each([undefined, null, 5555, {}, ["inproc://a"]])("refuses %j, which is no string", (endpoint) => {
  expect(checkBind(endpoint as unknown as string)?.reason).toBe("InvalidEndpoint")
  expect(checkConnect(endpoint as unknown as string)?.reason).toBe("InvalidEndpoint")
  const error = new TypeError("Address must be a string")
  expect(faultOf("bind", endpoint as unknown as string, error).reason).toBe("InvalidEndpoint")
})

it.each([
  ["tcp://example.org:5555", "example.org"],
  ["tcp://localhost:5555", "localhost"],
  ["tcp://eth0:0;example.org:5555", "example.org"],
  ["ws://example.org:5555/path", "example.org"],
  ["ws://example.org:5555/a/b", "example.org"],
  ["ws://127.0.0.1:5555/path", undefined],
  ["tcp://127.0.0.1:5555", undefined],
  ["tcp://eth0:0;127.0.0.1:5555", undefined],
  ["tcp://[::1]:5555", undefined],
  ["tcp://[fe80::1%eth0]:5555", undefined],
  ["tcp://::1:5555", undefined],
  ["ipc://example.org:5555", undefined],
  ["inproc://example.org:5555", undefined],
  ["nonsense", undefined]
])("the host to resolve in %s is %s", (endpoint, host) => {
  expect(hostToResolve(endpoint)).toBe(host)
})

it.each(["tcp://example.org:99999", "ws://eth0:0;example.org:5555"])(
  "%s names no host that could be found",
  (endpoint) => {
    const { advice, reason } = faultOf("connect", endpoint, Object.assign(new Error(), { code: "ENOTFOUND" }))
    expect(reason).toBe("HostNotFound")
    expect(advice).not.toContain("example.org")
    expect(faultOf("connect", "tcp://example.org:1", { code: "ENOTFOUND" }).advice).toContain("example.org")
  }
)

it.each([
  ["bind", "tcp://127.0.0.1:5555", "EADDRINUSE", "AddressInUse"],
  ["bind", "ipc:///tmp", "EADDRINUSE", "AddressInUse"],
  ["bind", "inproc://a", "EADDRINUSE", "AddressInUse"],
  ["bind", "tcp://8.8.8.8:5555", "EADDRNOTAVAIL", "AddressNotAvailable"],
  ["bind", "tcp://nosuch0:5555", "ENODEV", "AddressNotAvailable"],
  ["bind", "tcp://[::1]:5555", "ENODEV", "AddressNotAvailable"],
  ["bind", "tcp://[::1]:5555", "EAFNOSUPPORT", "AddressNotAvailable"],
  ["bind", "tipc://{5560,0,0}", "EAFNOSUPPORT", "UnsupportedTransport"],
  ["bind", "tipc://x", "EAGAIN", "InvalidEndpoint"],
  ["bind", "ipc:///tmp/a.sock", "EAGAIN", "Unknown"],
  ["bind", "tcp://127.0.0.1:80", "EACCES", "PermissionDenied"],
  ["bind", "ipc:///root/a", "EACCES", "PermissionDenied"],
  ["bind", "ipc:///sys/a", "EROFS", "PermissionDenied"],
  ["bind", "ipc:///nosuch/a", "ENOENT", "NoSuchPath"],
  ["bind", "ipc:///etc/passwd/a", "ENOTDIR", "NoSuchPath"],
  ["bind", `ipc:///${"x".repeat(200)}`, "ENAMETOOLONG", "InvalidEndpoint"],
  ["bind", "ipc:///tmp/a.sock", "ENOSPC", "NoSpace"],
  ["bind", "ipc:///tmp/a.sock", "EDQUOT", "NoSpace"],
  ["bind", "ipc:///tmp/a.sock", "EIO", "NoSuchPath"],
  ["bind", "ipc://*", "EACCES", "PermissionDenied"],
  ["bind", "ipc:///tmp/a.sock", "EMFILE", "TooManySockets"],
  ["bind", "ipc:///tmp/a.sock", "ENFILE", "TooManySockets"],
  ["bind", "tcp://127.0.0.1", "EINVAL", "InvalidEndpoint"],
  ["bind", "tcp://127.0.0.1:5555", "EINVAL", "InvalidEndpoint"],
  ["bind", "foo://x", "EPROTONOSUPPORT", "UnsupportedTransport"],
  ["bind", "ws://127.0.0.1:5555", "EPROTONOSUPPORT", "UnsupportedTransport"],
  ["bind", "tcp://127.0.0.1:5555", "ENOTSUP", "UnsupportedTransport"],
  ["connect", "udp://127.0.0.1:5555", "ENOCOMPATPROTO", "IncompatibleTransport"],
  ["connect", "ws://no.such.host:5555", "EINVAL", "HostNotFound"],
  ["connect", "tcp://no.such.host:5555", "ENOTFOUND", "HostNotFound"],
  ["connect", "tcp://127.0.0.1:5555", "EMFILE", "TooManySockets"],
  ["connect", "tcp://127.0.0.1:5555", "EMTHREAD", "Unknown"],
  ["connect", "tcp://127.0.0.1:5555", "ETERM", "Unknown"],
  ["connect", "tcp://127.0.0.1:5555", "EBADF", "Unknown"],
  ["connect", "inproc://a", "ECONNREFUSED", "NoSuchEndpoint"],
  ["disconnect", "tcp://127.0.0.1:5555", "ENOENT", "NoSuchEndpoint"],
  ["unbind", "ipc:///tmp/a", "ENOENT", "NoSuchEndpoint"],
  ["disconnect", "nonsense", "EINVAL", "InvalidEndpoint"],
  ["connect", "tcp://127.0.0.1:5555", "EWHATEVER", "Unknown"]
] as const)("%s %s with %s is %s", (operation, endpoint, code, reason) => {
  const fault = faultOf(operation, endpoint, Object.assign(new Error(code), { code }))
  expect(fault.reason).toBe(reason)
  expect(fault.advice.length).toBeGreaterThan(10)
})

it.each([undefined, null, "text", new Error("what"), { code: 5 }])("cannot tell what %s is", (error) => {
  expect(faultOf("connect", "inproc://a", error).reason).toBe("Unknown")
})

describe("what libzmq does not say of ipc", () => {
  const given = process.env.TMPDIR
  afterAll(() => {
    if (given === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = given
  })

  it.each([true, false])("a folder of too long a path for ipc://*, with monitor %s", (monitor) =>
    Effect.gen(function* () {
      const long = join(folder, "x".repeat(longest - 10))
      mkdirSync(long, { recursive: true })
      process.env.TMPDIR = long
      const error = yield* Effect.flip(Effect.scoped(Zmq.pull({ bind: "ipc://*", monitor })))
      expect(error).toMatchObject({ _tag: "BindError", reason: "InvalidEndpoint" })
      expect(error.message).toContain("Set TMPDIR to a folder with a shorter path")
      expect(error.message).toContain(long)
      process.env.TMPDIR = folder
      yield* Effect.scoped(Zmq.pull({ bind: "ipc://*", monitor }))
    }).pipe(Effect.runPromise)
  )

  // A disk of our own, which takes a namespace of our own.
  const alone = ["--user", "--map-root-user", "--mount"]
  const mayMount = spawnSync("unshare", [...alone, "true"]).status === 0
  it.skipIf(!mayMount)("a disk that is full", () =>
    Effect.gen(function* () {
      const disk = join(folder, "disk")
      mkdirSync(disk)
      // Of two files one is the folder, and the other is there.
      const fill = 'mount -t tmpfs -o nr_inodes=2 none "$0" && touch "$0/file" && exec "$@"'
      const node = [process.execPath, ...nodeArguments("fullDisk.ts"), disk]
      const ended = yield* runCommand("unshare", [...alone, "sh", "-c", fill, disk, ...node])
      const said = `ipc://${disk}/a.sock: NoSpace\nipc://*: NoSpace\n`
      expect(ended).toEqual({ code: 0, signal: null, stderr: "", stdout: said + said })
    }).pipe(Effect.runPromise)
  )
})

// A socket that watches hides why, unless it tries again.
describe.each([undefined, false])("why a bind failed, with monitor %s", (monitor) => {
  it.each([
    ["tcp://nosuch0:5555", "AddressNotAvailable"],
    ["tcp://192.0.2.1:5555", "AddressNotAvailable"],
    ["tcp://[::1]:5555", "AddressNotAvailable"],
    [`ipc://${folder}/nosuch/a.sock`, "NoSuchPath"],
    ["taken", "AddressInUse"]
  ])("%s: %s", (endpoint, reason) =>
    Effect.gen(function* () {
      const taken = (yield* Zmq.pull({ bind: "tcp://127.0.0.1:*" })).endpoints[0]!
      const bind = endpoint === "taken" ? taken : endpoint
      const error = yield* Effect.flip(Effect.scoped(Zmq.pull(monitor === undefined ? { bind } : { bind, monitor })))
      expect(error).toMatchObject({ _tag: "BindError", reason })
    }).pipe(Effect.scoped, Effect.runPromise)
  )
})

describe.skipIf(ofBinding("WebSocket is of libzmq"))("over ws", () => {
  const bind = (endpoint: string, options?: Zmq.PullOptions) => Zmq.pull({ ...options, bind: endpoint })
  const connect = (endpoint: string, options?: Zmq.PushOptions) => Zmq.push({ ...options, connect: endpoint })
  const reasonOf = (open: Effect.Effect<unknown, Zmq.SocketError, Scope.Scope>) =>
    Effect.map(Effect.flip(Effect.scoped(open)), (error) => ("reason" in error ? error.reason : error._tag))

  it.each([undefined, false])("libzmq's reasons are told, with monitor %s", (monitor) =>
    Effect.gen(function* () {
      const used = (yield* bind("ws://127.0.0.1:*")).endpoints[0]!
      expect(used).toMatch(/^ws:\/\/127\.0\.0\.1:\d+\/$/)
      const options = monitor === undefined ? {} : { monitor }
      const reasons = {
        [used]: "AddressInUse",
        [`${used}path`]: "AddressInUse",
        [used.slice(0, -1)]: "AddressInUse",
        "ws://192.0.2.1:5555": "AddressNotAvailable",
        "ws://192.0.2.1:*/path": "AddressNotAvailable",
        "ws://nosuch0:*": "AddressNotAvailable",
        "ws://localhost:*": "AddressNotAvailable",
        "ws://[::1]:*": "AddressNotAvailable"
      }
      for (const [endpoint, reason] of Object.entries(reasons)) {
        expect(`${endpoint} ${yield* reasonOf(bind(endpoint, options))}`).toBe(`${endpoint} ${reason}`)
      }
      expect(yield* reasonOf(connect("ws://no.such.host.invalid:5555/a/b", options))).toBe("HostNotFound")
      expect(yield* reasonOf(connect("ws://[::1]:5555", options))).toBe("AddressNotAvailable")
      expect(yield* reasonOf(Zmq.rawStream({ connect: used }))).toBe("UnsupportedTransport")
    }).pipe(Effect.scoped, Effect.runPromise)
  )

  it("a socket is bound where it says, with the longest path, and hears who connects there", () =>
    Effect.gen(function* () {
      const pull = yield* bind(`ws://127.0.0.1:*/${"x".repeat(511)}`)
      const push = yield* connect(pull.endpoints[0]!)
      yield* push.send(["a", "b"])
      expect(yield* pull.recvStrings).toEqual(["a", "b"])
      yield* pull.unbind(pull.endpoints[0]!)
      expect(pull.endpoints).toEqual([])
    }).pipe(Effect.scoped, Effect.runPromise))
})
