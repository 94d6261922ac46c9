import { defineConfig } from "vitest/config"

// Node 20 does not have Map.groupBy, and vitest needs it to print a failure.
const maps = Map as { groupBy?: unknown }
maps.groupBy ??= <K, T>(items: Iterable<T>, keyOf: (item: T, index: number) => K): Map<K, Array<T>> => {
  const groups = new Map<K, Array<T>>()
  let index = 0
  for (const item of items) {
    const key = keyOf(item, index++)
    groups.set(key, [...(groups.get(key) ?? []), item])
  }
  return groups
}

const source = (file: string): string => new URL(`./src/${file}`, import.meta.url).pathname

// Tests that open no socket on the engine that is given, and so need not run on each:
// on scripted sockets, of what needs none, and of the engines themselves.
const ofNoEngine = [
  "port",
  "port-odd",
  "docs",
  "turn-model",
  "house",
  "hovers",
  "types",
  "codec-msgpack",
  "codec-text",
  "holding-back",
  "zmtp-*"
]
// And those of what libzmq alone has.
const ofLibzmq = ["draft", "attend", "zeromq-parts"]
const isOther = process.env.ENGINE === "zmtp"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: isOther ? [...ofNoEngine, ...ofLibzmq].map((name) => `test/${name}.test.ts`) : [],
    pool: "forks",
    setupFiles: ["test/support/useEngine.ts"],
    // Tests open many descriptors and processes, and most of the time they wait.
    maxWorkers: isOther ? 1 : 2,
    // For what hangs. A test that passes takes seconds, on a busy machine some times as long.
    testTimeout: 120_000
  },
  resolve: {
    alias: [
      { find: /^effect-zmq$/, replacement: source("index.ts") },
      { find: /^effect-zmq\/(\w+)$/, replacement: source("$1.ts") }
    ]
  }
})
