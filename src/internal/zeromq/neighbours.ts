/** The sockets of a thread that meet at the same inproc names. */
export class Neighbours<Socket> {
  private readonly at = new Map<string, Set<Socket>>()

  /** All that are there, `socket` too. */
  join(name: string, socket: Socket): ReadonlySet<Socket> {
    const there = this.at.get(name) ?? new Set()
    this.at.set(name, there)
    return there.add(socket)
  }

  /** Those that stay. */
  part(name: string, socket: Socket): ReadonlySet<Socket> {
    const there = this.at.get(name) ?? new Set()
    there.delete(socket)
    if (there.size === 0) this.at.delete(name)
    return there
  }
}
