/**
 * A process of its own: sockets that wait for messages which never come.
 *
 *     idle.ts zeromq.js|effect-zmq SOCKETS MILLISECONDS
 *
 * Prints the KiB of memory for each socket, and the share of a core in percent.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { Effect } from "effect"
import { Zmq } from "effect-zmq"
import * as zmq from "zeromq"
import { address } from "./harness.ts"

setFlagsFromString("--expose-gc")
const collectGarbage = runInNewContext("gc") as () => void

const [, , by, sockets, millis] = process.argv

const open = async (endpoint: string): Promise<unknown> => {
  if (by === "effect-zmq") {
    const waiting = Effect.flatMap(Zmq.pull({ bind: endpoint }), (socket) => socket.recv)
    return Effect.runFork(Effect.scoped(waiting))
  }
  const socket = new zmq.Pull({ linger: 0 })
  socket.bindSync(endpoint)
  socket.receive().catch(() => {})
  return socket
}

const rss = (): number => {
  collectGarbage()
  return process.memoryUsage.rss()
}

const warm = await open(address())
await sleep(100)
const before = rss()
const all: Array<unknown> = [warm]
for (let opened = 0; opened < Number(sockets); opened++) all.push(await open(address()))
await sleep(300)
const memory = (rss() - before) / 1024 / Number(sockets)
await sleep(400)
const usage = process.cpuUsage()
const start = performance.now()
await sleep(Number(millis))
const { user, system } = process.cpuUsage(usage)
const cpu = (user + system) / 10 / (performance.now() - start)
process.stdout.write(JSON.stringify({ memory, cpu }), () => process.exit(all.length > 0 ? 0 : 1))
