/** The subjects on the connection of `src/internal/zmtp` alone: a socket of node:net, and no pattern. */
import { connect, createServer, type Socket } from "node:net"
import { decode } from "../../src/internal/security/z85.ts"
import type { Boxes } from "../../src/internal/zmtp/protocol/boxes.ts"
import {
  Connection,
  type Introduced,
  type Local,
  type Message,
  type Progress,
  type Security
} from "../../src/internal/zmtp/protocol/connection.ts"
import { credentials, keys, type Library, type Spec } from "./subject.ts"

const security = (boxes: Boxes, { endpoint, mechanism }: Spec, asks: boolean): Security => {
  if (mechanism === "NULL") return { mechanism, asks }
  if (mechanism === "PLAIN")
    return endpoint === undefined ? { mechanism, role: "server" } : { mechanism, role: "client", ...credentials }
  const pair = (publicKey: string, secretKey: string) => ({
    publicKey: decode(publicKey)!,
    secretKey: decode(secretKey)!
  })
  return endpoint === undefined
    ? { mechanism, role: "server", boxes, keys: pair(keys.serverPublic, keys.serverSecret), asks }
    : {
        mechanism,
        role: "client",
        boxes,
        keys: { ...pair(keys.clientPublic, keys.clientSecret), serverKey: decode(keys.serverPublic)! }
      }
}

interface Handlers {
  readonly ready?: (connection: Connection, peer: Introduced) => void
  readonly message: (connection: Connection, message: Message) => void
}

/** A connection over a socket, with the timer of heartbeats. Gives what ends it. */
const glue = (socket: Socket, local: Local, how: Security, refuses: boolean, handlers: Handlers): Connection => {
  let silence: NodeJS.Timeout | undefined
  const goOn = (progress: Progress): void => {
    // Copied, so that the connection has its memory back at once.
    if (connection.pending > 0) socket.write(Buffer.concat(connection.take()))
    connection.written()
    if (progress === "later") setImmediate(() => goOn(connection.resume()))
    if (progress === "failed") socket.end()
  }
  const connection = new Connection(
    { local, security: how },
    {
      ready: (peer) => handlers.ready?.(connection, peer),
      message: (message) => {
        handlers.message(connection, message)
        return true
      },
      subscribe: () => true,
      cancel: () => true,
      ping: (ttl) => {
        if (ttl === 0) return
        silence = setTimeout(() => {
          connection.timedOut("silence")
          goOn("failed")
        }, ttl)
      },
      pong: () => {},
      zap: ({ credentials: said, mechanism }) => {
        const known =
          mechanism !== "PLAIN" ||
          (String(said[0]) === credentials.username && String(said[1]) === credentials.password)
        if (known && !refuses) connection.accept("user")
        else connection.refuse(400)
      },
      failed: () => {}
    }
  )
  socket.setNoDelay(true)
  socket.on("data", (bytes: Buffer) => {
    clearTimeout(silence)
    goOn(connection.receive(bytes))
  })
  socket.on("error", () => {})
  socket.on("close", () => {
    clearTimeout(silence)
    connection.end()
  })
  goOn("all")
  return connection
}

const handlersOf = ({ kind }: Spec): readonly [Local, () => Handlers] => {
  switch (kind) {
    case "echo": {
      let peers = 0
      return [
        { socketType: "ROUTER" },
        () => {
          let id: Uint8Array = Buffer.of(0, 0, 0, 0, ++peers)
          return {
            ready: (_, { identity }) => {
              if (identity.length > 0) id = identity
            },
            message: (connection, message) => void connection.send([id, ...message])
          }
        }
      ]
    }
    case "dealer":
      return [
        { socketType: "DEALER", identity: Buffer.from("me") },
        () => ({
          ready: (connection) => void connection.send("hello"),
          message: (connection, message) => void connection.send(message)
        })
      ]
    case "sub":
      return [
        { socketType: "SUB" },
        () => ({
          ready: (connection) => void connection.subscribe(Buffer.from("A")),
          message: (connection) => void connection.cancel(Buffer.from("A"))
        })
      ]
    // The patterns of others are not here.
    default:
      throw new Error(`no subject ${kind}`)
  }
}

export const coreWith = (boxes: Boxes): Library => ({
  kinds: ["echo", "dealer", "sub"],
  start: (spec) => {
    const [local, handlers] = handlersOf(spec)
    const how = security(boxes, spec, spec.refuses === true)
    const refuses = spec.refuses === true
    return new Promise((resolve) => {
      const sockets = new Set<Socket>()
      const add = (socket: Socket): void => {
        sockets.add(socket)
        glue(socket, local, how, refuses, handlers())
      }
      const stopAll = () => {
        for (const socket of sockets) socket.destroy()
      }
      if (spec.endpoint !== undefined) {
        const { port } = new URL(spec.endpoint.replace(/^tcp:/, "http:"))
        let isStopped = false
        const again = (): void => {
          if (isStopped) return
          const socket = connect(Number(port), "127.0.0.1")
          add(socket)
          socket.on("close", () => setTimeout(again, 20))
        }
        again()
        resolve({
          endpoint: spec.endpoint,
          stop: async () => {
            isStopped = true
            stopAll()
          }
        })
      } else {
        const server = createServer(add)
        server.listen(0, "127.0.0.1", () => {
          const { port } = server.address() as { readonly port: number }
          resolve({
            endpoint: `tcp://127.0.0.1:${port}`,
            stop: () => {
              stopAll()
              return new Promise((done) => server.close(() => done()))
            }
          })
        })
      }
    })
  }
})
