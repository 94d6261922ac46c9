import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    testTimeout: 30_000
  },
  resolve: { alias: { "effect-zmq": new URL("./src/index.ts", import.meta.url).pathname } }
})
