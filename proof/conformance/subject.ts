/** What is tested: programs that do little, so that all that they are can be seen on the wire. */
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"

/**
 * - `echo`: a bound ROUTER. To each message it answers with the routing id of who
 *   sent it, as a frame, and then the frames of the message.
 * - `xpub`: a bound XPUB. It publishes each message that it receives which is
 *   none of a subscription, as it is.
 * - `rep`: a bound REP. It answers with what it received.
 * - `dealer`: a DEALER of the identity `me` that connects. It sends `hello` when
 *   it is made, and then sends back what it receives.
 * - `sub`: a SUB that connects. It subscribes to `A`, and cancels that when it has received a message.
 * - `req`: a REQ that connects. It sends `hello` when it is made, and after each reply what was in it.
 * - `driven push` and so on: a socket of this type that is told what to do, with high-water marks of 10. It connects
 *   where there is an endpoint, and binds else. A ROUTER drops what it cannot route, a SUB subscribes to everything.
 */
export type Kind = "echo" | "xpub" | "rep" | "dealer" | "sub" | "req" | `driven ${Driven}`

export const driven = ["req", "rep", "dealer", "router", "pub", "xpub", "sub", "xsub", "push", "pull", "pair"] as const

export type Driven = (typeof driven)[number]

export const kinds: ReadonlyArray<Kind> = [
  "echo",
  "xpub",
  "rep",
  "dealer",
  "sub",
  "req",
  ...driven.map((type) => `driven ${type}` as const)
]

/** The high-water marks of what is driven. */
export const mark = 10

/** What a driven subject says of a message: that it took it, has no room, or may not send or receive now. */
export type Answer = "sent" | "full" | "wrong"

export interface Driver {
  /** Never waits. Frames are octets, as Latin-1. */
  readonly send: (...frames: ReadonlyArray<string>) => Promise<Answer>
  /** Waits for a message. */
  readonly receive: () => Promise<ReadonlyArray<string> | "wrong">
}

export interface Spec {
  readonly kind: Kind
  /** Those that bind are servers of the mechanism, those that connect are clients. */
  readonly mechanism: "NULL" | "PLAIN" | "CURVE"
  /** A server refuses everybody with the status 400 of ZAP. Others accept those who know the password, or any key. */
  readonly refuses?: boolean
  /** Where to connect. Those that bind do so at a port of 127.0.0.1 that is free. */
  readonly endpoint?: string
}

export interface Running {
  /** Where it is bound. */
  readonly endpoint: string
  readonly stop: () => Promise<void>
  /** Of a driven subject. */
  readonly driver?: Driver
}

export interface Library {
  /** The subjects that it has. Rules about others are skipped. */
  readonly kinds: ReadonlyArray<Kind>
  readonly start: (spec: Spec) => Promise<Running>
}

/** PLAIN: what the server lets in, and what the client says. */
export const credentials = { username: "admin", password: "secret" }

/** CURVE: the keys that libzmq's documentation uses, as Z85. */
export const keys = {
  serverPublic: "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7",
  serverSecret: "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6",
  clientPublic: "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID",
  clientSecret: "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"
}

/** Subjects that are programs: `program kind mechanism accepts|refuses endpoint`. One that binds says `bound tcp://…` on a line. */
export const programs = (program: string): Library => ({
  kinds,
  start: async ({ endpoint = "", kind, mechanism, refuses }) => {
    const child = spawn(`${program} '${kind}' ${mechanism} ${refuses === true ? "refuses" : "accepts"} '${endpoint}'`, {
      shell: true,
      stdio: ["pipe", "pipe", "inherit"],
      detached: true
    })
    const answers: Array<(line: string) => void> = []
    let isBound = (_: string): void => {}
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (line.startsWith("bound ")) isBound(line.slice(6).trim())
      else answers.shift()?.(line)
    })
    const bound =
      endpoint !== ""
        ? endpoint
        : await new Promise<string>((resolve, reject) => {
            isBound = resolve
            child.on("exit", () => reject(new Error(`${program} ${kind} ended`)))
          })
    const ask = async (line: string) => {
      child.stdin.write(`${line}\n`)
      return JSON.parse(await new Promise<string>((resolve) => answers.push(resolve)))
    }
    return {
      endpoint: bound,
      driver: { send: (...frames) => ask(`send ${JSON.stringify(frames)}`), receive: () => ask("receive") },
      stop: async () => {
        if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, "SIGKILL")
      }
    }
  }
})
