/**
 * A peer that says something and reads nothing, until it is killed. Its arguments are
 * what it is, where to connect, and how much it says. Prints when it has said that.
 */
import { once } from "node:events"
import { createRequire } from "node:module"
import { connect } from "node:net"
import * as zmq from "zeromq"

const [type, endpoint, messages] = process.argv.slice(2) as [string, string, string]
const count = Number(messages)
const least = { receiveHighWaterMark: 1, sendHighWaterMark: 0, linger: 0 }

if (type === "rawStream") {
  const { hostname, port } = new URL(endpoint)
  const socket = connect(Number(port), hostname)
  socket.pause()
  await once(socket, "connect")
  for (let i = 0; i < count; i++) socket.write(Buffer.alloc(1000, "x"))
} else if (type === "server") {
  const { Client } = createRequire(import.meta.url)("zeromq/draft.js")
  const client = new Client(least)
  client.connect(endpoint)
  for (let i = 0; i < count; i++) await client.send(`${i}`)
  Object.assign(globalThis, { client })
} else if (type === "pair") {
  const pair = new zmq.Pair(least)
  pair.connect(endpoint)
  for (let i = 0; i < count; i++) await pair.send(`${i}`)
  Object.assign(globalThis, { pair })
} else {
  const dealer = new zmq.Dealer(least)
  dealer.connect(endpoint)
  for (let i = 0; i < count; i++) await dealer.send(["", `${i}`])
  Object.assign(globalThis, { dealer })
}
console.log("said")
setInterval(() => {}, 1000)
