/** What an editor shows where a name is pointed at: asked of the language server of TypeScript. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process"
import { rmSync, writeFileSync } from "node:fs"

const root = new URL("../..", import.meta.url).pathname

/** The messages of a language server: JSON, each headed by its length. */
class Connection {
  private readonly child: ChildProcessWithoutNullStreams
  private readonly waiting = new Map<number, (result: unknown) => void>()
  private received = Buffer.alloc(0)
  private last = 0

  constructor() {
    this.child = spawn(process.execPath, [`${root}node_modules/typescript/bin/tsc`, "--lsp", "--stdio"], { cwd: root })
    this.child.stdout.on("data", (bytes: Buffer) => this.read(bytes))
  }

  request(method: string, params: unknown): Promise<unknown> {
    const id = ++this.last
    this.write({ id, method, params })
    return new Promise((resolve) => this.waiting.set(id, resolve))
  }

  notify(method: string, params: unknown): void {
    this.write({ method, params })
  }

  end(): void {
    this.child.kill()
  }

  private write(message: object): void {
    const text = JSON.stringify({ jsonrpc: "2.0", ...message })
    this.child.stdin.write(`Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`)
  }

  private read(bytes: Buffer): void {
    this.received = Buffer.concat([this.received, bytes])
    while (true) {
      const end = this.received.indexOf("\r\n\r\n")
      if (end < 0) return
      const length = Number(/Content-Length: (\d+)/i.exec(this.received.toString("latin1", 0, end))?.[1])
      if (this.received.length < end + 4 + length) return
      const message = JSON.parse(this.received.toString("utf8", end + 4, end + 4 + length))
      this.received = this.received.subarray(end + 4 + length)
      if (message.method === undefined) {
        this.waiting.get(message.id)?.(message.result)
        this.waiting.delete(message.id)
      } else if (message.id !== undefined) this.write({ id: message.id, result: null })
    }
  }
}

/** The hover of each name that the code declares with `const`. */
export const hoversOf = async (code: string): Promise<Record<string, string>> => {
  // Among the tests, which have the settings of the project.
  const file = `${root}test/support/hovered-${process.pid}.ts`
  writeFileSync(file, code)
  const connection = new Connection()
  try {
    const uri = `file://${file}`
    await connection.request("initialize", {
      processId: process.pid,
      rootUri: `file://${root}`,
      capabilities: { textDocument: { hover: { contentFormat: ["plaintext"] } } }
    })
    connection.notify("initialized", {})
    connection.notify("textDocument/didOpen", {
      textDocument: { uri, languageId: "typescript", version: 1, text: code }
    })
    const hovers: Record<string, string> = {}
    for (const [line, text] of code.split("\n").entries()) {
      const name = /const (\w+)/.exec(text)
      if (name === null) continue
      const position = { line, character: name.index + "const ".length }
      const hover = await connection.request("textDocument/hover", { textDocument: { uri }, position })
      hovers[name[1]!] = (hover as { readonly contents: { readonly value: string } } | null)?.contents.value ?? ""
    }
    return hovers
  } finally {
    connection.end()
    rmSync(file)
  }
}
