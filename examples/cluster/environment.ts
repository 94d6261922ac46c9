/** What a night is here, how long a shard may be away, and a port that nobody else should have. */
Object.assign(process.env, {
  PORT: `${20_000 + (process.pid % 10_000)}`,
  NIGHTLY: "* * * * * *",
  SHARDS_PER_GROUP: "30",
  SHARD_LOCK_EXPIRATION: "5 seconds",
  SHARD_LOCK_REFRESH_INTERVAL: "1 second",
  REFRESH_ASSIGNMENTS_INTERVAL: "500 millis",
  ENTITY_MESSAGE_POLL_INTERVAL: "500 millis"
})

export {}
