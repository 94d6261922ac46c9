/** One end of a conversation, as whoever plays it is told, and what both ends know of each other. */
import { Effect } from "effect"
import type { Mechanism, Type } from "./cases.ts"
import type { Plan } from "./messages.ts"

export interface Spec {
  readonly role: "sends" | "receives"
  readonly type: Type
  readonly peer: Type
  /** Whether it sends one message after the other, or each after the reply to the last, which is what it sent. */
  readonly flows: boolean
  readonly binds: boolean
  /** Where. */
  readonly endpoint: string
  /** Who binds is the server. */
  readonly mechanism: Mechanism
  readonly mark: number
  readonly plan: Plan
}

/** How far both ends are. */
export class Course {
  /** The receiver has heard of the sender. */
  isFound = false
  /** The sender waits for room. */
  isStuck = false
  timesStuck = 0
  /** All was sent. */
  isSent = false
  /** All was received, and was right. */
  isReceived = false

  stuck(is: boolean): void {
    this.isStuck = is
    if (is) this.timesStuck++
  }

  /** The receiver is late: it reads when the sender cannot go on, or has no more to say. */
  get mayRead(): boolean {
    return this.isStuck || this.isSent
  }
}

/** Where the receiver waits until it may read. */
export const isGate = (index: number, plan: Plan): boolean => index % Math.ceil(plan.length / 4) === 0

/** What a publisher says until it is heard. */
export const probe = "probe"

/** What the peer of a ROUTER is called. */
export const names = { sends: "the sender", receives: "the receiver" } as const

export const credentials = { username: "admin", password: "secret" }
export const keys = {
  serverPublic: "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7",
  serverSecret: "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6",
  clientPublic: "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID",
  clientSecret: "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"
}

export const pause: Effect.Effect<void> = Effect.callback((resume) => {
  const timer = setTimeout(() => resume(Effect.void), 1)
  return Effect.sync(() => clearTimeout(timer))
})

export const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => (condition() ? Effect.void : Effect.andThen(pause, until(condition))))
