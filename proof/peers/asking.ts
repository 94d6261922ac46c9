/** How a client of workload (m) asks: with a DEALER of zeromq.js, or with lines over plain TCP. */
import { once } from "node:events"
import { connect } from "node:net"
import * as zmq from "zeromq"
import { numberIn, question } from "./questions.ts"

export interface Asking {
  /** Resolves when libzmq or Node has the question. */
  ask(number: number, letters: number): Promise<void>
  /** The number of the next answer, NaN if it is not whole, or undefined if the connection has ended. */
  answer(letters: number): Promise<number | undefined>
  /** Leaves at once. */
  leave(): void
}

export type Protocol = "zmq" | "tcp"

/** A DEALER that keeps little of what it does not read. */
const dealer = (endpoint: string, routingId: string | undefined, reads: boolean): Asking => {
  const socket = new zmq.Dealer({
    linger: 0,
    sendHighWaterMark: 0,
    ...(routingId === undefined ? {} : { routingId }),
    ...(reads ? {} : { receiveHighWaterMark: 1, receiveBufferSize: 4096 })
  })
  socket.connect(endpoint)
  return {
    ask: (number, letters) => socket.send(["", question(number, letters)]),
    answer: async (letters) => {
      try {
        const frames = await socket.receive()
        return frames.length === 2 && frames[0]!.length === 0 ? numberIn(`${frames[1]}`, letters) : Number.NaN
      } catch {
        return undefined
      }
    },
    leave: () => socket.close()
  }
}

const lines = async (endpoint: string): Promise<Asking> => {
  const socket = connect(Number(endpoint.split(":").at(-1)), "127.0.0.1")
  socket.on("error", () => {})
  await once(socket, "connect")
  // With somebody who listens for this, what is not read stays with the kernel, but for a little.
  let wake = (): void => {}
  for (const event of ["readable", "close"]) socket.on(event, () => wake())
  let text = ""
  const answer = async (): Promise<string | undefined> => {
    while (true) {
      const end = text.indexOf("\n")
      if (end >= 0) {
        const line = text.slice(0, end)
        text = text.slice(end + 1)
        return line
      }
      const piece = socket.read() as Buffer | null
      if (piece !== null) text += piece.toString("latin1")
      else if (socket.destroyed || socket.readableEnded) return undefined
      else {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    }
  }
  return {
    ask: async (number, letters) => {
      socket.write(`${question(number, letters)}\n`)
    },
    answer: async (letters) => {
      const line = await answer()
      return line === undefined ? undefined : numberIn(line, letters)
    },
    leave: () => socket.resetAndDestroy()
  }
}

/** One that `reads` little says so, and has small buffers. */
export const open = async (
  protocol: Protocol,
  endpoint: string,
  routingId?: string,
  { reads = true }: { readonly reads?: boolean } = {}
): Promise<Asking> => (protocol === "tcp" ? lines(endpoint) : dealer(endpoint, routingId, reads))
