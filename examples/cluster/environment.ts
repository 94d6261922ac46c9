/** What a night is here, how long a shard may be away, and a port that is free. */
import { createServer } from "node:net"

const freePort = new Promise<number>((resolve) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
  })
})

Object.assign(process.env, {
  PORT: `${await freePort}`,
  NIGHTLY: "* * * * * *",
  SHARDS_PER_GROUP: "30",
  SHARD_LOCK_EXPIRATION: "5 seconds",
  SHARD_LOCK_REFRESH_INTERVAL: "1 second",
  REFRESH_ASSIGNMENTS_INTERVAL: "500 millis",
  ENTITY_MESSAGE_POLL_INTERVAL: "500 millis"
})
