import type { Frame, Message, Outgoing } from "../../../Message.ts"
import type { Setting } from "../../engine.ts"
import type { DraftType } from "../../socketTypes.ts"
import { errorOf } from "../answer.ts"
import type { NativeContext } from "../raw.ts"
import { bindDatagrams, forDatagrams } from "./datagram.ts"
import { close, ZMQ_SNDHWM } from "./raw.ts"
import { type Admission, type Origin, ThreadSafeSocket } from "./threadSafe.ts"

// All that a RADIO is told is which groups its peers join and leave. When it is
// told of a group that is too long libzmq aborts the whole process (radio.cpp:216).
// Messages that could hold such a group are refused, and their peer is cut off.
const longestCommand = "?JOIN".length + 255
const longestEncrypted = "?MESSAGE".length + 8 + 1 + 16 + longestCommand

export class RadioSocket extends ThreadSafeSocket {
  constructor(type: DraftType, admission: Admission, context: NativeContext) {
    super(type, admission, context)
    this.raw.maxMessageSize = longestCommand
  }

  private waits = false

  override set(setting: Setting): void {
    if (setting.option.startsWith("curve")) this.raw.maxMessageSize = longestEncrypted
    if (setting.option === "noDrop") this.waits = setting.value === true
    super.set(setting)
  }

  // A message may be too large for a udp peer that came while it waited for a
  // slow one, and libzmq would write beyond its buffer.
  override connect(endpoint: string): void {
    if (this.waits && endpoint.startsWith("udp://")) throw errorOf("ENOCOMPATPROTO")
    super.connect(endpoint)
  }

  protected override sendRaw(message: Outgoing): Promise<void> {
    const [group, data] = message as readonly [Frame, Frame]
    return this.raw.send(data, { group })
  }
}

/**
 * A DISH that hears of udp through a DGRAM for each endpoint, and takes their
 * packets apart itself: libzmq's own DISH aborts the whole process when the
 * first byte of a packet is above 127 (udp_engine.cpp:547), and never lets go of
 * an endpoint.
 */
export class DishSocket extends ThreadSafeSocket {
  private readonly joined = new Set<string>()
  private readonly udp = new Map<string, Origin>()
  private readonly settings: Array<Setting> = []

  constructor(context: NativeContext) {
    super("dish", "always", context)
    // What it sends are the groups that it joins: those above the mark would be dropped.
    this.raw.setInt32Option(ZMQ_SNDHWM, 0)
  }

  protected override read([data, from]: readonly [Buffer, ...ReadonlyArray<unknown>]): Message {
    return [(from as { readonly group: Buffer }).group, data]
  }

  private readonly readPacket = ([, packet]: readonly unknown[]): Message | undefined => {
    const bytes = packet as Buffer
    const end = 1 + (bytes[0] ?? bytes.length)
    if (end > bytes.length) return undefined
    const group = bytes.subarray(1, end)
    return this.joined.has(group.toString("latin1")) ? [group, bytes.subarray(end)] : undefined
  }

  override set(setting: Setting): void {
    super.set(setting)
    if (forDatagrams.has(setting.option)) this.settings.push(setting)
  }

  override subscribe(group: Buffer): void {
    super.subscribe(group)
    this.joined.add(group.toString("latin1"))
  }

  override unsubscribe(group: Buffer): void {
    super.unsubscribe(group)
    this.joined.delete(group.toString("latin1"))
  }

  override bind(endpoint: string): string {
    if (!endpoint.startsWith("udp://")) return super.bind(endpoint)
    if (this.udp.has(endpoint)) throw errorOf("EADDRINUSE")
    const origin = { raw: bindDatagrams(endpoint, this.settings, this.context), read: this.readPacket }
    this.udp.set(endpoint, origin)
    this.origins.push(origin)
    return endpoint
  }

  override disconnect(endpoint: string): void {
    const origin = this.udp.get(endpoint)
    if (origin === undefined) return super.disconnect(endpoint)
    this.udp.delete(endpoint)
    this.origins.splice(this.origins.indexOf(origin), 1)
    close(origin.raw)
  }
}
