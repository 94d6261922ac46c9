/** Binds, connects and accepts on the engine on ZMTP while no file descriptors are left, and then again while there are. */
import { closeSync, openSync, readdirSync } from "node:fs"
import { devNull } from "node:os"
import { Effect, Fiber, Stream } from "effect"
import { Engine, Zmq } from "effect-zmq"
import { boundTo, freshEndpoint, openFiles, until } from "./sockets.ts"

const taken: Array<number> = []
/** Takes all descriptors but so many. */
const leave = (count: number): void => {
  try {
    for (;;) taken.push(openSync(devNull, "r"))
  } catch {
    // none left
  }
  for (const descriptor of taken.splice(0, count)) closeSync(descriptor)
}
const giveBack = (): void => {
  for (const descriptor of taken.splice(0)) closeSync(descriptor)
}

const next = (socket: Zmq.Socket, ...tags: ReadonlyArray<string>) =>
  socket.events.pipe(
    Stream.filter(({ _tag }) => tags.includes(_tag)),
    Stream.runHead
  )

const program = Effect.gen(function* () {
  for (const transport of ["tcp", "ipc"] as const) {
    const pull = yield* Zmq.pull({ bind: freshEndpoint(transport) })
    const push = yield* Zmq.push({ linger: 0, reconnectInterval: 10 })
    const other = freshEndpoint(transport)
    // What is opened once, and stays.
    readdirSync("/proc/self/fd")
    leave(0)
    const reasons: Array<string> = []
    for (const bind of [other, boundTo(pull)]) {
      const error = yield* Effect.flip(Zmq.pull({ bind }))
      reasons.push("reason" in error ? error.reason : error._tag)
    }
    const retried = yield* Effect.forkChild(next(push, "ConnectRetried"), { startImmediately: true })
    yield* push.connect(boundTo(pull))
    yield* Fiber.join(retried)
    // One for whoever connects, and none for whoever accepts.
    giveBack()
    leave(1)
    yield* next(push, "Disconnected", "ConnectRetried")
    giveBack()
    yield* push.send("hello")
    console.log(transport, reasons.join(" "), yield* pull.recvString)
    yield* Effect.scoped(Zmq.pull({ bind: other }))
  }
  const before = openFiles()
  for (let i = 0; i < 20; i++) yield* Effect.scoped(Zmq.pull({ bind: freshEndpoint("tcp") }))
  yield* until(Effect.sync(() => openFiles() <= before))
})
await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(Engine.layerZmtp)))
console.log("done")
