/** A client of Jupyter: DEALER, SUB and REQ against a real kernel, with signed messages. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { createHmac, randomUUID } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { type AddressInfo, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { Zmq } from "effect-zmq"

const python = "/usr/bin/python3"
const hasKernel = spawnSync(python, ["-c", "import ipykernel"]).status === 0
const missing = `${python} cannot import ipykernel: install the package python3-ipykernel`

it("ipykernel is there to talk to, or this is not CI", () => {
  expect(hasKernel || process.env.CI !== "true", missing).toBe(true)
})

const channels = ["shell", "iopub", "stdin", "control", "hb"] as const
type Endpoints = Record<(typeof channels)[number], string>

const freePort = Effect.callback<number>((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

interface Kernel {
  readonly key: string
  readonly endpoints: Endpoints
  readonly child: ChildProcess
}

/** A kernel in a process of its own. */
const startKernel = (transport: "tcp" | "ipc") =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-zmq-jupyter-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
    )
    const key = randomUUID()
    const ip = transport === "tcp" ? "127.0.0.1" : join(folder, "kernel")
    const separator = transport === "tcp" ? ":" : "-"
    const endpoints: Partial<Endpoints> = {}
    const connection: Record<string, string | number> = { key, ip, transport, signature_scheme: "hmac-sha256" }
    for (const [i, channel] of channels.entries()) {
      const port = transport === "tcp" ? yield* freePort : i + 1
      connection[`${channel}_port`] = port
      endpoints[channel] = `${transport}://${ip}${separator}${port}`
    }
    const file = join(folder, "connection.json")
    writeFileSync(file, JSON.stringify(connection))
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(python, ["-m", "ipykernel_launcher", "-f", file], {
          stdio: "ignore",
          env: { ...process.env, HOME: folder, IPYTHONDIR: folder, JUPYTER_RUNTIME_DIR: folder }
        })
      ),
      (child) => Effect.sync(() => void child.kill("SIGKILL"))
    )
    const kernel: Kernel = { key, endpoints: endpoints as Endpoints, child }
    return kernel
  })

interface JupyterMessage {
  readonly type: string
  readonly parent: string | undefined
  readonly content: Record<string, unknown>
}

/** The messaging of Jupyter: frames behind a delimiter, of which the first signs the four others. */
const messaging = (key: string) => {
  const delimiter = "<IDS|MSG>"
  const session = randomUUID()
  const sign = (frames: ReadonlyArray<string | Buffer>): string => {
    const hmac = createHmac("sha256", key)
    for (const frame of frames) hmac.update(frame)
    return hmac.digest("hex")
  }
  return {
    request: (type: string, content: object) => {
      const id = randomUUID()
      const date = new Date().toISOString()
      const header = { msg_id: id, session, username: "test", date, msg_type: type, version: "5.3" }
      const frames = [header, {}, {}, content].map((part) => JSON.stringify(part))
      return { id, message: [delimiter, sign(frames), ...frames] as const }
    },
    read: (message: Zmq.Message): JupyterMessage => {
      const at = message.findIndex((frame) => frame.toString() === delimiter)
      assert(at >= 0, "no delimiter")
      const [signature, ...frames] = message.slice(at + 1)
      expect(signature!.toString()).toBe(sign(frames.slice(0, 4)))
      const [header, parent, , content] = frames.map((frame) => JSON.parse(frame.toString()))
      return { type: header.msg_type, parent: parent.msg_id, content }
    }
  }
}

describe("A kernel of Jupyter", () => {
  for (const transport of ["tcp", "ipc"] as const) {
    const name = `runs a cell, tells what comes of it, and answers heartbeats, over ${transport}`
    it.live.skipIf(!hasKernel)(hasKernel ? name : `${name} (${missing})`, () =>
      Effect.gen(function* () {
        const { child, endpoints, key } = yield* startKernel(transport)
        const { read, request } = messaging(key)
        // It binds when it has started.
        const quick = { reconnectInterval: 50, linger: 0 }
        const iopub = yield* Zmq.sub({ connect: endpoints.iopub, subscribe: "", ...quick })
        const shell = yield* Zmq.dealer({ connect: endpoints.shell, routingId: "client", ...quick })
        const control = yield* Zmq.dealer({ connect: endpoints.control, ...quick })
        const hb = yield* Zmq.req({ connect: endpoints.hb, ...quick })
        yield* Effect.all([iopub.awaitConnected, shell.awaitConnected, hb.awaitConnected])

        // What is published before the subscription has come is lost: so one asks until something is.
        const published = yield* Effect.forkChild(iopub.recv)
        const info = Effect.gen(function* () {
          const { id, message } = request("kernel_info_request", {})
          yield* shell.send(message)
          const reply = read(yield* shell.recv)
          expect([reply.type, reply.parent, reply.content.status]).toEqual(["kernel_info_reply", id, "ok"])
        })
        while (published.pollUnsafe() === undefined) yield* Effect.andThen(info, Effect.sleep(10))
        expect(read(yield* Fiber.join(published)).type).toBe("status")

        for (const beat of ["ping", Buffer.from([0, 255, 0]), Buffer.alloc(10_000, 7)]) {
          expect((yield* hb.request(beat))[0]).toEqual(Buffer.from(beat as string))
        }

        const code = "print(6 * 7)\n'x' * 100_000"
        const cell = request("execute_request", { code, silent: false, store_history: true, stop_on_error: true })
        yield* shell.send(cell.message)
        const told = yield* iopub.messages.pipe(
          Stream.map(read),
          Stream.filter(({ parent }) => parent === cell.id),
          Stream.takeUntil(({ content }) => content.execution_state === "idle"),
          Stream.runCollect
        )
        expect(told.map(({ type }) => type)).toEqual(["status", "execute_input", "stream", "execute_result", "status"])
        expect(told[0]!.content.execution_state).toBe("busy")
        expect(told[2]!.content).toEqual({ name: "stdout", text: "42\n" })
        expect(told[3]!.content.data).toEqual({ "text/plain": `'${"x".repeat(100_000)}'` })
        const reply = read(yield* shell.recv)
        expect([reply.type, reply.parent, reply.content.status]).toEqual(["execute_reply", cell.id, "ok"])

        const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()))
        const stop = request("shutdown_request", { restart: false })
        yield* control.send(stop.message)
        expect(read(yield* control.recv)).toMatchObject({ type: "shutdown_reply", parent: stop.id })
        yield* Effect.promise(() => ended)
      })
    )
  }
})
