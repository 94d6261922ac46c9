/** Who may know whom: each file of `src` lies in a room, and what is only true of zeromq.js lies in one. */
import { readdirSync, readFileSync, statSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import { describe, expect, it } from "vitest"

const src = resolve(import.meta.dirname, "../src")
const filesIn = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    return statSync(path).isDirectory() ? filesIn(path) : [path]
  })

interface Import {
  readonly from: string
  /** A file of `src`, as its path there, or a package. */
  readonly to: string
  /** Whether it is gone when the types are. */
  readonly typesAlone: boolean
}

const importsOf = (file: string): ReadonlyArray<Import> => {
  const text = readFileSync(file, "utf8")
  const from = relative(src, file)
  const place = (to: string) => (to.startsWith(".") ? relative(src, resolve(dirname(file), to)) : to)
  const stated = [...text.matchAll(/^(?:import|export)\s+(type\s)?([^"';]*?)\s*from\s+"([^"]+)"/gms)].map(
    ([, type, what = "", to = ""]) => ({
      from,
      to: place(to),
      typesAlone:
        type !== undefined ||
        (/^\{[^}]*\}$/.test(what) &&
          what
            .slice(1, -1)
            .split(",")
            .map((name) => name.trim())
            .filter((name) => name !== "")
            .every((name) => name.startsWith("type ")))
    })
  )
  const computed = [...text.matchAll(/(?<!typeof )(?:import|require|createRequire\([^)]*\))\(\s*"([^"]+)"/g)].map(
    ([, to = ""]) => ({
      from,
      to: place(to),
      typesAlone: false
    })
  )
  return [...stated, ...computed]
}

const files = filesIn(src)
const imports = files.flatMap(importsOf)
const internal = "internal/"

/** The room that a file lies in; what lies beside the rooms is for all of them. */
const roomOf = (path: string): string | undefined => /^internal\/(\w+)\//.exec(path)?.[1]

const said = ({ from, to }: Import): string => `${from} imports ${to}`

describe("the house", () => {
  it("is read", () => {
    expect(files.length).toBeGreaterThan(90)
    expect(imports.length).toBeGreaterThan(400)
    expect(imports.filter(({ typesAlone }) => typesAlone).length).toBeGreaterThan(100)
  })

  it("has one room that knows the package zeromq, and loads it in one place", () => {
    const known = imports.filter(({ to }) => to === "zeromq" || to.startsWith("zeromq/"))
    expect(known.filter(({ from }) => roomOf(from) !== "zeromq").map(said)).toEqual([])
    expect(known.filter(({ typesAlone }) => !typesAlone).map(said)).toEqual([
      "internal/zeromq/draft/raw.ts imports zeromq/draft.js",
      "internal/zeromq/load.ts imports zeromq"
    ])
  })

  it("has one door to that room", () => {
    const into = imports.filter(({ from, to }) => roomOf(to) === "zeromq" && roomOf(from) !== "zeromq")
    expect(into.map(said)).toEqual([
      "Engine.ts imports internal/zeromq/engine.ts",
      "internal/currentEngine.ts imports internal/zeromq/engine.ts"
    ])
  })

  it("has one door to the engine on ZMTP, in which the protocol knows nothing else", () => {
    const into = imports.filter(({ from, to }) => roomOf(to) === "zmtp" && roomOf(from) !== "zmtp")
    expect(into.map(said)).toEqual(["Engine.ts imports internal/zmtp/engine.ts"])
    const protocol = "internal/zmtp/protocol/"
    const out = imports.filter(({ from, to }) => from.startsWith(protocol) && !to.startsWith(protocol))
    expect(out.map(said)).toEqual(["internal/zmtp/protocol/curve.ts imports node:crypto"])
  })

  it("has nothing elsewhere that is there because of how zeromq.js has to be asked", () => {
    const terms = /receiveBurst|receivesAtOnce|recheck|attend|onReturned|scavenge|ZMQ_EVENTS|notification/
    const speaking = files
      .filter((file) => file.includes(internal) && roomOf(relative(src, file)) !== "zeromq")
      .flatMap((file) =>
        readFileSync(file, "utf8")
          .split("\n")
          .filter((line) => terms.test(line))
          .map((line) => `${relative(src, file)}: ${line.trim()}`)
      )
    expect(speaking).toEqual([])
  })

  it("has a port that is types alone", () => {
    const text = readFileSync(join(src, "internal/engine.ts"), "utf8")
    expect(text).not.toMatch(/^(export )?(const|let|class|function|enum) /m)
    expect(imports.filter(({ from, typesAlone }) => from === "internal/engine.ts" && !typesAlone)).toEqual([])
  })

  // Each room with those that it may come into; beside them lies what is for all.
  const doors: { readonly [room: string]: ReadonlyArray<string> } = {
    cluster: ["rpc"],
    codec: ["receive", "send"],
    draft: ["codec", "receive", "send", "socket"],
    proxy: ["receive", "send", "socket"],
    receive: ["send"],
    request: ["codec", "receive", "send"],
    rpc: ["receive", "send", "socket"],
    security: [],
    send: [],
    socket: ["codec", "receive", "request", "security", "send"],
    socketServer: ["socket"],
    zap: ["security", "socket"],
    // An engine knows none of the rooms above it.
    zeromq: [],
    zmtp: ["security"]
  }

  it("has rooms that come into no others than they have a door to", () => {
    const rooms = imports.filter(({ from, to }) => roomOf(to) !== undefined && roomOf(from) !== undefined)
    const wrong = rooms.filter(({ from, to }) => {
      const [room, other] = [roomOf(from)!, roomOf(to)!]
      return room !== other && !doors[room]?.includes(other)
    })
    expect(wrong.map(said)).toEqual([])
    // And no door that nobody uses.
    for (const [room, others] of Object.entries(doors)) {
      const used = new Set(rooms.filter(({ from }) => roomOf(from) === room).map(({ to }) => roomOf(to)))
      expect([room, ...others.filter((other) => !used.has(other))]).toEqual([room])
    }
    // They are no circle, not even of types.
    const below = (room: string): ReadonlyArray<string> => doors[room]!.flatMap((other) => [other, ...below(other)])
    for (const room of Object.keys(doors)) expect(below(room)).not.toContain(room)
  })

  it("has beside the rooms nothing that knows one of them, but for the engine that is the default", () => {
    const into = imports.filter(
      ({ from, to }) => from.startsWith(internal) && roomOf(from) === undefined && roomOf(to) !== undefined
    )
    expect(into.map(said)).toEqual(["internal/currentEngine.ts imports internal/zeromq/engine.ts"])
  })

  // The public modules whose types a room has, beside the models that all share.
  const models = ["Message.ts", "ZmqError.ts", "SocketEvent.ts"]
  const own: { readonly [room: string]: ReadonlyArray<string> } = {
    cluster: ["Cluster.ts", "Curve.ts", "Rpc.ts"],
    codec: ["Codec.ts"],
    draft: ["Draft.ts", "Zmq.ts"],
    proxy: ["Proxy.ts"],
    receive: [],
    request: [],
    rpc: ["Rpc.ts", "Zmq.ts"],
    security: ["Curve.ts", "Null.ts", "Plain.ts", "Z85.ts"],
    send: [],
    socketServer: ["SocketServer.ts", "Zmq.ts"],
    socket: ["SocketOptions.ts", "Stats.ts", "Status.ts", "Zmq.ts", "ZmqContext.ts"],
    zap: ["Zap.ts"],
    zeromq: [],
    zmtp: []
  }

  it("has rooms with names", () => {
    expect(
      [...new Set(files.map((file) => roomOf(relative(src, file))))].filter((room) => room !== undefined).sort()
    ).toEqual(Object.keys(own).sort())
  })

  it("has rooms that know of the front the models, and the types of their own module", () => {
    const up = imports.filter(
      ({ from, to }) => from.startsWith(internal) && !to.startsWith(internal) && to.endsWith(".ts")
    )
    const wrong = up.filter(
      ({ from, to, typesAlone }) => !models.includes(to) && !(typesAlone && own[roomOf(from) ?? ""]?.includes(to))
    )
    expect(wrong.map(said)).toEqual([])
  })

  it("has no circle", () => {
    const next = new Map<string, Array<string>>()
    for (const { from, to, typesAlone } of imports) {
      if (!typesAlone) next.set(from, [...(next.get(from) ?? []), to])
    }
    const done = new Set<string>()
    const circles: Array<string> = []
    const visit = (file: string, path: ReadonlyArray<string>): void => {
      if (path.includes(file)) return void circles.push([...path.slice(path.indexOf(file)), file].join(" → "))
      if (done.has(file)) return
      for (const to of next.get(file) ?? []) visit(to, [...path, file])
      done.add(file)
    }
    for (const file of next.keys()) visit(file, [])
    expect(circles).toEqual([])
  })
})
