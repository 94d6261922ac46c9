/**
 * Why there is no native proxy: what `Proxy` of zeromq.js does, case by case,
 * each in a process of its own that is killed after 5 seconds.
 *
 *     npx tsx bench/native-proxy.ts
 */
import { spawn } from "node:child_process"
import { readFile } from "node:fs/promises"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as zmq from "zeromq"

let names = 0

/** A running PULL to PUSH with so many messages to begin with, someone who sends and someone who may receive. */
const streamer = async (highWaterMark: number, messages = 0, keep = true) => {
  const [frontend, backend] = [`inproc://frontend-${names}`, `inproc://backend-${names++}`]
  const front = new zmq.Pull({ receiveHighWaterMark: highWaterMark, linger: 1000 })
  const back = new zmq.Push({ sendHighWaterMark: highWaterMark, linger: 1000 })
  front.bindSync(frontend)
  back.bindSync(backend)
  const source = new zmq.Push({ sendHighWaterMark: 0, linger: 0 })
  source.connect(frontend)
  const sink = new zmq.Pull({ receiveHighWaterMark: highWaterMark, receiveTimeout: 100, linger: 0 })
  sink.connect(backend)
  for (let sent = 0; sent < messages; sent++) await source.send("x")
  const proxy = new zmq.Proxy(front, back)
  const running = proxy.run()
  if (keep) kept.push(proxy, front, back, source, sink)
  return { proxy, running, source, sink }
}
// What the garbage collector has had is still in use by the thread.
const kept: Array<unknown> = []

/** Receives what comes, until nothing has come for a while. Returns how many messages that were. */
const drain = async (sink: zmq.Pull, rest = () => Promise.resolve()): Promise<number> => {
  for (let received = 0; ; received++) {
    try {
      if (received % 500 === 499) await rest()
      await sink.receive()
    } catch {
      return received
    }
  }
}

const within = <A>(millis: number, promise: Promise<A>): Promise<boolean> =>
  Promise.race([promise.then(() => true), sleep(millis, false)])

const cases: Readonly<Record<string, () => Promise<string>>> = {
  "process.exit, with one that is idle": async () => {
    await streamer(10)
    await sleep(100)
    process.exit(0)
  },
  "process.exit, with one whose exit handler terminates it": async () => {
    const { proxy } = await streamer(10)
    process.on("exit", () => proxy.terminate())
    await sleep(100)
    process.exit(0)
  },
  "the same, while its backend is full": async () => {
    const { proxy } = await streamer(10, 500)
    process.on("exit", () => proxy.terminate())
    await sleep(100)
    process.exit(0)
  },
  "terminate, while its backend is full": async () => {
    const { proxy, running } = await streamer(10, 500)
    await sleep(100)
    proxy.terminate()
    return (await within(2000, running)) ? "ended" : "still running after 2 s"
  },
  "terminate, with a receiver that is a little behind": async () => {
    let lost = 0
    for (let round = 0; round < 10; round++) {
      const { proxy, running, sink } = await streamer(1000, 5000)
      const received = drain(sink, () => sleep(1))
      await sleep(5)
      proxy.terminate()
      await running
      lost += 5000 - (await received)
    }
    return `lost ${lost} of 50000 messages, in 10 rounds`
  },
  "one that is collected while it runs": async () => {
    const { source, sink } = await streamer(1000, 0, false)
    setFlagsFromString("--expose-gc")
    const collect: () => void = runInNewContext("gc")
    for (let round = 0; round < 20; round++) {
      for (let sent = 0; sent < 500; sent++) await source.send("x")
      await drain(sink)
      collect()
    }
    return "still there"
  },
  "pause, and a message": async () => {
    const { proxy, sink, source } = await streamer(10)
    proxy.pause()
    await sleep(50)
    await source.send("x")
    return (await drain(sink)) === 0 ? "waits" : "the message passes"
  },
  "resume, and a message": async () => {
    const { proxy, sink, source } = await streamer(10)
    proxy.resume()
    await sleep(50)
    await source.send("x")
    const passed = (await drain(sink)) === 1
    const before = process.cpuUsage()
    await sleep(1000)
    const { system, user } = process.cpuUsage(before)
    const busy = `${Math.round((user + system) / 10_000)} % of a core`
    return `${passed ? "the message passes" : "the message does not pass"}, ${busy}`
  },
  "four of them, and a file that is read": async () => {
    for (let count = 0; count < 4; count++) await streamer(10)
    return (await within(2000, readFile(fileURLToPath(import.meta.url)))) ? "read" : "not read after 2 s"
  }
}

const self = fileURLToPath(import.meta.url)

if (process.argv[2] === undefined) {
  for (const name of Object.keys(cases)) {
    const child = spawn(process.execPath, [...process.execArgv, self, name], { stdio: ["ignore", "pipe", "inherit"] })
    let said = ""
    child.stdout.on("data", (text) => {
      said += text
    })
    const killer = setTimeout(() => child.kill("SIGKILL"), 5000)
    const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
      child.on("close", (...ended) => resolve(ended))
    )
    clearTimeout(killer)
    const end = signal === "SIGKILL" ? "did not exit within 5 s" : `exited with ${signal ?? code}`
    console.log(`${name}: ${[said.trim(), said.includes("\n") ? "" : end].filter(Boolean).join("; ")}`)
  }
} else {
  console.log(await cases[process.argv[2]]!())
  process.kill(process.pid, "SIGKILL")
}
