/** Sockets of this engine below the mailbox: what the library does above hides some of it. */
import { connect, type Socket } from "node:net"
import { it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { Engine } from "effect-zmq"
import type { Delivery, Owner } from "../../src/internal/engine.ts"
import type { openSocket } from "../../src/internal/socket/open.ts"
import { nextTurn, texts, untilDefined } from "./sockets.ts"
import { greeting, ready } from "./zmtpSides.ts"

export type Opened = Effect.Success<ReturnType<typeof openSocket>>

export const live = <E>(name: string, run: Effect.Effect<void, E, Scope.Scope>): void =>
  it.live(name, () => run.pipe(Effect.provide(Engine.layerZmtp)))

export const turns = (count: number): Effect.Effect<void> => Effect.repeat(nextTurn, { times: count - 1 })

/** All that is here. */
export const all = ({ port }: Pick<Opened, "port">): Array<Array<string>> => {
  const taken: Array<Array<string>> = []
  while (port.ready > 0) taken.push(texts(port.take()))
  return taken
}

export const next = ({ port }: Pick<Opened, "port">): Effect.Effect<Array<string>> =>
  untilDefined(Effect.sync(() => (port.ready > 0 ? texts(port.take()) : undefined)))

/** Closes it, and gives what became of all that was sent. */
export const closed = ({ port }: Pick<Opened, "port">, linger: number): Effect.Effect<Delivery> =>
  Effect.callback((resume) => port.close(linger, (delivery) => resume(Effect.succeed(delivery))))

/** A peer over tcp that says what it likes, whatever was asked for. */
export const rude = (
  { endpoints }: Opened,
  type: string,
  ...properties: ReadonlyArray<Buffer>
): Effect.Effect<Socket, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const socket = connect(Number(endpoints[0]!.split(":")[2]), "127.0.0.1").on("error", () => {})
      socket.write(Buffer.concat([greeting(), ready(type, ...properties)]))
      return socket.resume()
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

type Told = { -readonly [Name in keyof Owner]: Owner[Name] }

/** Whom a port tells of what comes. */
export const ownerOf = ({ port }: Pick<Opened, "port">): Told =>
  (port as unknown as { readonly notices: { readonly owner: Told } }).notices.owner

export const topic = (text: string): Buffer => Buffer.from(text)
