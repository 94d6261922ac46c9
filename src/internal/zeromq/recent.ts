/** Names, of which the oldest are forgotten. */
export class Recent {
  private readonly names = new Set<string>()
  private readonly most: number

  constructor(most: number) {
    this.most = most
  }

  add(name: string): void {
    this.names.delete(name)
    this.names.add(name)
    if (this.names.size > this.most) for (const oldest of this.names) return void this.names.delete(oldest)
  }

  delete(name: string): boolean {
    return this.names.delete(name)
  }
}
