/**
 * @since 0.1.0
 */
export * as Zmq from "./Zmq.ts"
