import { type RawSocket, untilDone } from "./raw.ts"

type Raw = Pick<RawSocket, "immediate" | "connect">

/**
 * Connects a socket, in either way that libzmq has: at once with room for
 * messages, or with none until the handshake has succeeded (ZMQ_IMMEDIATE).
 *
 * libzmq has an option of the socket for that, of which each connection keeps
 * what it was when it was made. But when a connection breaks that waited, the
 * option of the socket must still be set, or libzmq aborts the process
 * (socket_base.cpp: `hiccuped`). So from the first of those on it is unset only
 * while another connection is made.
 */
export class Immediate {
  // What the program has it, once a connection has waited.
  private given: boolean | undefined

  connect(raw: Raw, endpoint: string): void {
    const { given } = this
    if (given === undefined) return untilDone(() => raw.connect(endpoint))
    setQuietly(raw, given)
    try {
      untilDone(() => raw.connect(endpoint))
    } finally {
      setQuietly(raw, true)
    }
  }

  /** Takes messages for the peer only when its handshake has succeeded. */
  connectOnceReady(raw: Raw, endpoint: string): void {
    this.given ??= raw.immediate
    setQuietly(raw, true)
    untilDone(() => raw.connect(endpoint))
  }
}

const ignore = (): void => {}

// zeromq.js has Node warn that the option is for later connections, as it is meant to be.
const setQuietly = (raw: Raw, immediate: boolean): void => {
  const { emitWarning } = process
  process.emitWarning = ignore
  try {
    raw.immediate = immediate
  } finally {
    process.emitWarning = emitWarning
  }
}
