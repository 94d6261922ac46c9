/**
 * The ZeroMQ Property Language (RFC 4): named values, nested by four spaces.
 *
 * A fault never quotes the line, which may hold a secret.
 */
import * as Result from "effect/Result"

export interface Property {
  readonly name: string
  readonly value: string
  /** Counted from 1. */
  readonly line: number
  readonly children: ReadonlyArray<Property>
}

export interface Fault {
  readonly line: number | undefined
  readonly reason: string
}

const name = /^[A-Za-z0-9$\-_@.&+/]+/
export const expectedName = "a name of letters, digits and $ - _ @ . & + /"

export const isName = (text: string): boolean => name.exec(text)?.[0] === text

export const parse = (text: string): Result.Result<ReadonlyArray<Property>, Fault> => {
  const top: Array<Property> = []
  /** The children of the last property of each level, from the outermost. */
  let open: Array<Array<Property>> = [top]
  for (const [index, content] of text.split(/\r\n|\r|\n/).entries()) {
    const line = index + 1
    const body = content.trim()
    if (body === "" || body.startsWith("#")) continue
    const fault = (reason: string) => Result.fail({ line, reason })

    const indent = /^ */.exec(content)![0].length
    const level = indent / 4
    if (!Number.isInteger(level) || content[indent] === "\t") return fault("expected four spaces for each level")
    const siblings = open[level]
    if (siblings === undefined) return fault("expected at most one level more than the line above")

    const named = name.exec(body)?.[0]
    if (named === undefined) return fault(`expected ${expectedName}`)
    const rest = body.slice(named.length).trimStart()
    if (rest !== "" && rest[0] !== "=" && rest[0] !== "#") return fault("expected = after the name")

    const children: Array<Property> = []
    siblings.push({ name: named, value: rest[0] === "=" ? unquote(rest.slice(1).trimStart()) : "", line, children })
    open = [...open.slice(0, level + 1), children]
  }
  return Result.succeed(top)
}

/** Quoted, or up to a comment. A quote without its match is a character as any other. */
const unquote = (text: string): string => {
  const quoted = /^(?:"([^"]*)"|'([^']*)')\s*(?:#|$)/.exec(text)
  return quoted === null ? text.split("#", 1)[0]!.trimEnd() : (quoted[1] ?? quoted[2])!
}

/** The value in quotes, or `undefined`: the language has no escape for what a line cannot hold. */
export const quote = (value: string): string | undefined => {
  for (const char of value) if (char < " " || char === "\x7f") return undefined
  return value.includes('"') ? (value.includes("'") ? undefined : `'${value}'`) : `"${value}"`
}
