import type { Frame, Message, Outgoing } from "../../../Message.ts"
import { ThreadSafeSocket } from "./threadSafe.ts"

export class ServerSocket extends ThreadSafeSocket {
  protected override read([data, from]: readonly [Buffer, ...ReadonlyArray<unknown>]): Message {
    const id = Buffer.allocUnsafe(4)
    id.writeUInt32BE((from as { readonly routingId: number }).routingId)
    return [id, data]
  }

  protected override sendRaw(message: Outgoing): Promise<void> {
    const [id, data] = message as readonly [Buffer, Frame]
    return this.raw.send(data, { routingId: id.readUInt32BE() })
  }
}
