/** Addresses as libzmq tells them to a ZAP handler, and the networks they are compared with. */
import { isIP } from "node:net"

interface Network {
  readonly family: 4 | 6
  readonly bits: number
  readonly base: bigint
}

/** A network, or `"ipc"` for the peers of ipc endpoints, which have no address. */
export type Rule = Network | "ipc"

export const expectedRule =
  'an IPv4 or IPv6 address, a network like "10.0.0.0/8" whose address ends in zeros, or "ipc" for peers over ipc'

/** `undefined` if it is no rule. */
export const parseRule = (text: unknown): Rule | undefined => {
  if (text === "ipc") return "ipc"
  if (typeof text !== "string") return undefined
  const [address = "", length, ...rest] = text.split("/")
  // The zone of an address is the name of an interface here, and means nothing elsewhere.
  if (rest.length > 0 || address.includes("%") || isIP(address) === 0) return undefined
  const most = isIP(address) === 4 ? 32 : 128
  if (length !== undefined && !/^\d{1,3}$/.test(length)) return undefined
  const bits = length === undefined ? most : Number(length)
  if (bits > most) return undefined
  const value = numberOf(address)
  // 10.1.2.3/8 is a slip: of the length or of the address, who knows.
  if (value & ((1n << BigInt(most - bits)) - 1n)) return undefined
  return most === 128 && bits >= 96 && isMapped(value)
    ? { family: 4, bits: bits - 96, base: value & lowest32 }
    : { family: most === 32 ? 4 : 6, bits, base: value }
}

/** A peer, or `undefined` if libzmq could not tell, or told what we do not know. */
export type Origin = { readonly family: 4 | 6; readonly value: bigint } | "ipc" | undefined

export const originOf = (address: string): Origin => {
  // "localhost", and on Unix its user, group and process: `localhost:1000:1000:4711`
  if (/^localhost(:\d*){0,3}$/.test(address)) return "ipc"
  const bare = address.replace(/%.*$/, "")
  const family = isIP(bare)
  if (family === 0) return undefined
  const value = numberOf(bare)
  // An IPv4 peer of a socket that listens on both.
  if (family === 6 && isMapped(value)) return { family: 4, value: value & lowest32 }
  return { family: family === 4 ? 4 : 6, value }
}

export const matches = (rules: ReadonlyArray<Rule>, origin: Origin): boolean =>
  rules.some((rule) => {
    if (origin === undefined) return false
    if (rule === "ipc" || origin === "ipc") return rule === origin
    const shift = BigInt((rule.family === 4 ? 32 : 128) - rule.bits)
    return rule.family === origin.family && rule.base >> shift === origin.value >> shift
  })

const lowest32 = 0xffff_ffffn
const isMapped = (value: bigint): boolean => value >> 32n === 0xffffn

/** The bits of an address that `isIP` has checked. */
const numberOf = (address: string): bigint => {
  if (!address.includes(":")) return address.split(".").reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
  // An IPv4 address may be the end of an IPv6 one.
  const groups = address.replace(/\d+\.\d+\.\d+\.\d+$/, (tail) => {
    const value = numberOf(tail)
    return `${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`
  })
  const [head = "", tail] = groups.split("::")
  const left = head === "" ? [] : head.split(":")
  const right = tail === undefined || tail === "" ? [] : tail.split(":")
  const zeros = Array<string>(8 - left.length - right.length).fill("0")
  return [...left, ...zeros, ...right].reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n)
}
