/** Imported before tests with a scripted socket, has them run at the port: see `port.test.ts`. */
process.env.SCRIPTED = "port"

export {}
