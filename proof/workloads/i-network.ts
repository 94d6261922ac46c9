/** The network between two network namespaces is cut and restored. */
import { randomOf, seed } from "../moments.ts"
import { ip, needsNamespaces, quietly } from "../namespaces.ts"
import { nodePeer, startPeer } from "../processes.ts"
import type { Outcome, Size, Workload } from "../row.ts"
import { progress } from "../watch.ts"

const sleep = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis))

const run =
  (options: { readonly heartbeat: boolean }) =>
  async (size: Size): Promise<Outcome> => {
    const random = randomOf()
    const name = `ezmq-${process.pid}`
    const [a, b] = [`${name}-a`, `${name}-b`]
    const cleanUp = () => {
      for (const space of [a, b]) quietly(() => ip("netns", "del", space))
    }
    process.on("exit", cleanUp)
    try {
      ip("netns", "add", a)
      ip("netns", "add", b)
      ip("-n", a, "link", "add", "ezmq0", "type", "veth", "peer", "name", "ezmq0", "netns", b)
      for (const [space, address] of [
        [a, "10.99.7.1/24"],
        [b, "10.99.7.2/24"]
      ] as const) {
        ip("-n", space, "addr", "add", address, "dev", "ezmq0")
        ip("-n", space, "link", "set", "ezmq0", "up")
        ip("-n", space, "link", "set", "lo", "up")
      }
      const heartbeats = options.heartbeat
        ? { heartbeatInterval: 200, heartbeatTimeout: 1000, reconnectInterval: 50 }
        : {}
      const inside = (space: string, args: ReadonlyArray<string>) =>
        startPeer("ip", ["netns", "exec", space, process.execPath, ...args])
      const receiver = inside(
        b,
        nodePeer("receiver.ts", "tcp://10.99.7.2:5557", JSON.stringify({ bind: true, ...heartbeats }))
      )
      const sender = inside(
        a,
        nodePeer(
          "sender.ts",
          "tcp://10.99.7.2:5557",
          "n",
          JSON.stringify({ pause: 2, linger: "60 seconds", ...heartbeats })
        )
      )
      const failed: Array<string> = []
      const untilReceived = async (count: number) => {
        for (let waited = 0; receiver.lines.length < count; waited++) {
          if (waited > 12_000) {
            failed.push(`nothing came through again for two minutes: ${receiver.stderr()}${sender.stderr()}`.trim())
            return
          }
          await sleep(10)
        }
      }
      await untilReceived(200)
      for (let cut = 0; cut < size.count && failed.length === 0; cut++) {
        ip("-n", b, "link", "set", "ezmq0", "down")
        await sleep(options.heartbeat ? 1500 + random(500) : 100 + random(500))
        ip("-n", b, "link", "set", "ezmq0", "up")
        await untilReceived(receiver.lines.length + 500)
        progress(() => `${cut + 1} cuts`)
      }
      sender.child.stdin!.end()
      await sender.ended
      const all = () => sender.lines.length === receiver.lines.length
      for (let silent = 0, before = -1; silent < (all() || options.heartbeat ? 50 : 500); silent++) {
        if (receiver.lines.length !== before) silent = 0
        before = receiver.lines.length
        await sleep(10)
      }
      receiver.child.stdin!.end()
      await receiver.ended
      const sent = sender.lines.length
      const numbers = receiver.lines.map((line) => Number(line.split(" ")[1]))
      const seen = new Set(numbers)
      let outOfOrder = 0
      for (let i = 1; i < numbers.length; i++) if (numbers[i]! < numbers[i - 1]!) outOfOrder++
      const last = numbers.reduce((most, number) => Math.max(most, number), 0)
      let holes = 0
      for (let number = 1; number <= last; number++) if (!seen.has(number) && seen.has(number - 1)) holes++
      const missing = sent - seen.size
      return {
        sent,
        delivered: seen.size,
        redelivered: 0,
        receivable: 0,
        lost: options.heartbeat ? 0 : missing,
        duplicated: numbers.length - seen.size,
        // The old connection may still be read when the next is there.
        outOfOrder: options.heartbeat ? null : outOfOrder,
        faults: [
          ...failed,
          ...(holes > size.count ? [`${holes} holes in what arrived, and only ${size.count} cuts`] : [])
        ],
        notes: [
          `${size.count} cuts`,
          ...(options.heartbeat
            ? [`${missing} were in flight on a connection that was given up, in ${holes} holes`]
            : []),
          `seed ${seed}`
        ]
      }
    } finally {
      cleanUp()
    }
  }

const limit = { quick: 180, full: 1200 }

export const workload: Workload = {
  id: "i",
  title: "the network is cut and restored, between two network namespaces",
  counting:
    "Without heartbeats the TCP connection outlives the cut and nothing may be missing. With heartbeats the connection is given up and made again: what was in flight on it is sent, and neither delivered nor lost, and there may be one hole for each cut. Who still reads the old connection beside the new one gets both in turn.",
  alone:
    "it asks whether this library goes on; what is in flight on a connection that is given up is lost for all users of libzmq",
  rows: [
    {
      library: "effect-zmq",
      variant: "the connection survives",
      quick: 3,
      full: 30,
      limit,
      run: run({ heartbeat: false }),
      skip: needsNamespaces
    },
    {
      library: "effect-zmq",
      variant: "heartbeats give it up",
      quick: 2,
      full: 30,
      limit,
      run: run({ heartbeat: true }),
      skip: needsNamespaces
    }
  ]
}
