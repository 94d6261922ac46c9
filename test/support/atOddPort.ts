/** Imported before tests with a scripted socket, has them run on an odd one: see `port-odd.test.ts`. */
process.env.SCRIPTED = "odd"

export {}
