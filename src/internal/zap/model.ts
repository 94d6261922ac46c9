/** The values of the module `Zap` that its parts make. */
import * as Data from "effect/Data"
import type * as Zap from "../../Zap.ts"

const verdict = Data.taggedEnum<Zap.Verdict>()

export const accept = (userId?: string): Zap.Verdict => verdict.Accept({ userId })
export const deny = (detail?: string): Zap.Verdict => verdict.Deny({ detail })

export const Decision = Data.taggedEnum<Zap.Decision>()
