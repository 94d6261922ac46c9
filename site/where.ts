/**
 * Where a message is at each step of a receive that is given up: what the picture on the page about
 * cancellation shows, and what that page says in words.
 */

/** The places in which a message can be. */
export type Place = "peer" | "queue" | "promise" | "mailbox" | "handler" | "fiber" | "lost"

export const places: Record<Place, string> = {
  peer: "at the peer",
  queue: "in the queue of the socket",
  promise: "in a promise",
  mailbox: "in the mailbox",
  handler: "lent to a handler",
  fiber: "with your code",
  lost: "lost"
}

export interface Step {
  /** What happens. */
  readonly what: string
  /** Where the message is then. */
  readonly place: Place
  /** Who knows that it is there. */
  readonly knows: string
}

export interface Way {
  readonly name: string
  readonly code: string
  /** The places that there are, in the order in which a message comes through them. */
  readonly places: ReadonlyArray<Place>
  readonly steps: ReadonlyArray<Step>
}

// `receive` of zeromq.js 6.8 (src/socket.cc) keeps a promise until the socket can be read.
const wrapper: Way = {
  name: "The obvious wrapper",
  code: `const receive = Effect.tryPromise(() => socket.receive())

yield* receive.pipe(Effect.timeout("1 second"))`,
  places: ["peer", "queue", "promise", "lost", "fiber"],
  steps: [
    {
      what: "Your fiber calls socket.receive(). Nothing is there. zeromq.js makes a promise, and the fiber waits for it.",
      place: "peer",
      knows: "The peer: it has not sent it yet."
    },
    {
      what: "The second is over. The fiber is interrupted, and goes on. The promise cannot be called back: it still waits.",
      place: "peer",
      knows: "The peer."
    },
    {
      what: "The peer sends the message. It arrives at the socket.",
      place: "queue",
      knows: "The socket."
    },
    {
      what: "The promise is still there. So zeromq.js takes the message from the queue, and resolves the promise with it.",
      place: "promise",
      knows: "The promise, and nobody has it any more."
    },
    {
      what: "Nobody reads the promise. There is no error and no warning. The message goes with the promise.",
      place: "lost",
      knows: "Nobody."
    },
    {
      what: "Your fiber receives again. The queue is empty, and it waits for the next message.",
      place: "lost",
      knows: "Nobody."
    }
  ]
}

// `_deserialize` and `_handle_recv` of zmq/_future.py: 24.0.1 says nothing, and 26 warns.
const pyzmq: Way = {
  name: "PyZMQ, asyncio",
  code: `job = await asyncio.wait_for(socket.recv_string(), 1)`,
  places: ["peer", "queue", "promise", "lost", "fiber"],
  steps: [
    {
      what: "Your task awaits recv_string(). PyZMQ makes two futures: an inner one for the bytes, and an outer one for the text. Your task has the outer one.",
      place: "peer",
      knows: "The peer: it has not sent it yet."
    },
    {
      what: "The peer sends the message, just as the second is over. It arrives at the socket.",
      place: "queue",
      knows: "The socket."
    },
    {
      what: "The time limit comes first, and cancels the outer future. The inner one is to be cancelled, too, but not before the next turn of the event loop.",
      place: "queue",
      knows: "The socket."
    },
    {
      what: "In the same turn PyZMQ sees that the socket can be read. The inner future still waits. So PyZMQ takes the message, and gives it to the inner future.",
      place: "promise",
      knows: "The inner future."
    },
    {
      what: "The next turn. It is too late to cancel the inner future, and there is no one to hand the text to: the outer one is cancelled. PyZMQ 24 says nothing. PyZMQ 26 warns: “A message has been dropped!”",
      place: "lost",
      knows: "Nobody, or a warning."
    },
    {
      what: "Your task receives again. The queue is empty, and it waits for the next message.",
      place: "lost",
      knows: "Nobody."
    }
  ]
}

// `src/internal/receive/mailbox.ts`: a waiter is woken by a signal that carries nothing, and takes in one operation.
const ours: Way = {
  name: "effect-zmq",
  code: `yield* socket.recvString.pipe(Effect.timeout("1 second"))`,
  places: ["peer", "queue", "mailbox", "handler", "fiber"],
  steps: [
    {
      what: "Your fiber receives. The mailbox of the socket is empty. The fiber joins the line of those who wait for a signal. What the socket reads will go to the mailbox, and not to the fiber.",
      place: "peer",
      knows: "The peer: it has not sent it yet."
    },
    {
      what: "The second is over. The fiber leaves the line, and goes on. It has left nothing behind that could take a message.",
      place: "peer",
      knows: "The peer."
    },
    {
      what: "The peer sends the message. It arrives at the socket.",
      place: "queue",
      knows: "The socket."
    },
    {
      what: "The read that was begun takes the message, and puts it into the mailbox. Nobody waits. It stays there.",
      place: "mailbox",
      knows: "The socket: its stats count it as queued."
    },
    {
      what: "This time you use runForEach. It lends the message to your handler.",
      place: "handler",
      knows: "The mailbox: it has lent it, and waits to hear how that ends."
    },
    {
      what: "The handler is interrupted in the middle of its work. The message goes back to its place in the mailbox, before all that came after it.",
      place: "mailbox",
      knows: "The socket: its stats count it as put back."
    },
    {
      what: "Your fiber receives again. It takes the message, decodes it and hands it to your code, all in one operation: there is no point in between where it could be interrupted.",
      place: "fiber",
      knows: "Your code. It is yours now."
    }
  ]
}

export const ways: ReadonlyArray<Way> = [wrapper, pyzmq, ours]

/** What moves: which way is shown, and which of its steps. */
export interface Shown {
  readonly way: number
  readonly step: number
}

/** What a key of the keyboard does, if it does something. */
export const pressed = ({ step, way }: Shown, key: string): Shown | undefined => {
  const last = ways[way]!.steps.length - 1
  if (key === "ArrowRight") return { way, step: Math.min(step + 1, last) }
  if (key === "ArrowLeft") return { way, step: Math.max(step - 1, 0) }
  if (key === "Home") return { way, step: 0 }
  if (key === "End") return { way, step: last }
  return undefined
}

/** The same in words, for those who read the page and not the site. */
export const asText = (): string =>
  ways
    .map(({ code, name, steps }, i) => {
      const rows = steps.map(({ knows, place, what }, at) => `| ${at + 1} | ${what} | ${places[place]} | ${knows} |`)
      const block = `\`\`\`${i === 1 ? "python" : "text"}\n${code}\n\`\`\``
      const table = ["| | what happens | where the message is | who knows of it |", "|---|---|---|---|", ...rows]
      return `### ${name}\n\n${block}\n\n${table.join("\n")}`
    })
    .join("\n\n")
