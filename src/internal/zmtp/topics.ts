/** Who wants which messages: prefixes of the first frame, in a radix tree. */
import { part } from "./protocol/bytes.ts"

class Node<A> {
  above: Node<A> | undefined
  /** The bytes that lead here from the node above. */
  edge: Buffer
  owners: Set<A> | undefined
  children: Map<number, Node<A>> | undefined

  constructor(above: Node<A> | undefined, edge: Buffer) {
    this.above = above
    this.edge = edge
  }
}

/** What an owner has. */
interface Owned<A> {
  readonly nodes: Set<Node<A>>
  bytes: number
}

export class Topics<A> {
  private readonly root = new Node<A>(undefined, Buffer.alloc(0))
  private readonly owned = new Map<A, Owned<A>>()

  /** How many topics an owner has, and how long they are together. */
  sizeOf(owner: A): { readonly count: number; readonly bytes: number } {
    const owned = this.owned.get(owner)
    return { count: owned?.nodes.size ?? 0, bytes: owned?.bytes ?? 0 }
  }

  /** Says whether nobody had this topic. Undefined if this owner had it already. */
  add(topic: Buffer, owner: A): boolean | undefined {
    const node = this.make(topic)
    node.owners ??= new Set()
    if (node.owners.has(owner)) return undefined
    node.owners.add(owner)
    let owned = this.owned.get(owner)
    if (owned === undefined) {
      owned = { nodes: new Set(), bytes: 0 }
      this.owned.set(owner, owned)
    }
    owned.nodes.add(node)
    owned.bytes += topic.length
    return node.owners.size === 1
  }

  /** Says whether nobody has it any more. Undefined if this owner had not. */
  remove(topic: Buffer, owner: A): boolean | undefined {
    const node = this.find(topic)
    if (node?.owners?.delete(owner) !== true) return undefined
    const owned = this.owned.get(owner)!
    owned.nodes.delete(node)
    owned.bytes -= topic.length
    if (owned.nodes.size === 0) this.owned.delete(owner)
    return free(node)
  }

  /**
   * Removes topics of an owner. Calls with each, and with whether nobody has it any more, which says whether there
   * may be more at once: hundreds of thousands are too many for one turn. Says whether there are more.
   */
  removeSome(owner: A, gone: (topic: Buffer, wasLast: boolean) => boolean): boolean {
    const owned = this.owned.get(owner)
    if (owned === undefined) return false
    for (const node of owned.nodes) {
      owned.nodes.delete(node)
      node.owners!.delete(owner)
      const topic = topicOf(node)
      owned.bytes -= topic.length
      if (!gone(topic, free(node)) && owned.nodes.size > 0) return true
    }
    this.owned.delete(owner)
    return false
  }

  /** Calls with each owner of a topic that `subject` begins with; with some of them more than once. */
  match(subject: Uint8Array, found: (owner: A) => void): void {
    let node = this.root
    let at = 0
    for (;;) {
      if (node.owners !== undefined) for (const owner of node.owners) found(owner)
      if (at === subject.length || node.children === undefined) return
      const child = node.children.get(subject[at]!)
      if (child === undefined) return
      const { edge } = child
      if (at + edge.length > subject.length) return
      for (let i = 1; i < edge.length; i++) if (edge[i] !== subject[at + i]) return
      at += edge.length
      node = child
    }
  }

  /** Whether anybody has a topic that `subject` begins with. */
  matches(subject: Uint8Array): boolean {
    let is = false
    this.match(subject, () => {
      is = true
    })
    return is
  }

  private find(topic: Buffer): Node<A> | undefined {
    let node = this.root
    let at = 0
    while (at < topic.length) {
      const child = node.children?.get(topic[at]!)
      if (child === undefined || sameFrom(child.edge, topic, at) < child.edge.length) return undefined
      at += child.edge.length
      node = child
    }
    return node
  }

  private make(topic: Buffer): Node<A> {
    let node = this.root
    let at = 0
    while (at < topic.length) {
      const first = topic[at]!
      node.children ??= new Map()
      const child = node.children.get(first)
      if (child === undefined) {
        const leaf = new Node<A>(node, Buffer.from(part(topic, at, topic.length)))
        node.children.set(first, leaf)
        return leaf
      }
      const { edge } = child
      const same = sameFrom(edge, topic, at)
      if (same < edge.length) {
        const middle = new Node<A>(node, Buffer.from(part(edge, 0, same)))
        child.edge = Buffer.from(part(edge, same, edge.length))
        child.above = middle
        middle.children = new Map([[child.edge[0]!, child]])
        node.children.set(first, middle)
        node = middle
      } else node = child
      at += same
    }
    return node
  }
}

/** How many bytes of an edge a topic goes on with. */
const sameFrom = (edge: Buffer, topic: Buffer, at: number): number => {
  const most = Math.min(edge.length, topic.length - at)
  let same = 0
  while (same < most && edge[same] === topic[at + same]) same++
  return same
}

const topicOf = <A>(node: Node<A>): Buffer => {
  const edges: Array<Buffer> = []
  for (let at: Node<A> | undefined = node; at !== undefined; at = at.above) edges.push(at.edge)
  return Buffer.concat(edges.reverse())
}

/** Says whether nobody has the topic of a node. Takes out what leads nowhere then, and joins what has one way on. */
const free = <A>(node: Node<A>): boolean => {
  if (node.owners!.size > 0) return false
  node.owners = undefined
  for (let at = node; at.above !== undefined && at.owners === undefined; ) {
    const { above } = at
    const count = at.children?.size ?? 0
    if (count > 1) break
    if (count === 1) {
      const [child] = at.children!.values()
      child!.edge = Buffer.concat([at.edge, child!.edge])
      child!.above = above
      above.children!.set(at.edge[0]!, child!)
      break
    }
    above.children!.delete(at.edge[0]!)
    if (above.children!.size === 0) above.children = undefined
    at = above
  }
  return true
}

/** How often each topic is wanted. */
export class Counts {
  private readonly counts = new Map<string, { readonly topic: Buffer; count: number }>()

  /** Says whether it is the first. */
  add(topic: Buffer): boolean {
    const key = topic.toString("latin1")
    const there = this.counts.get(key)
    if (there !== undefined) there.count++
    else this.counts.set(key, { topic: Buffer.from(topic), count: 1 })
    return there === undefined
  }

  /** Says whether it was the last. */
  remove(topic: Buffer): boolean {
    const key = topic.toString("latin1")
    const there = this.counts.get(key)
    if (there === undefined || --there.count > 0) return false
    return this.counts.delete(key)
  }

  *[Symbol.iterator](): Iterator<Buffer> {
    for (const { topic } of this.counts.values()) yield topic
  }
}
