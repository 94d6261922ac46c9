import type { EndpointReason } from "../../ZmqError.ts"

/** What is wrong with an endpoint. */
export interface EndpointFault {
  readonly reason: EndpointReason
  /** What to do, in one sentence. */
  readonly advice: string
}

export const fault = (reason: EndpointReason, advice: string): EndpointFault => ({ reason, advice })
export const invalid = (advice: string): EndpointFault => fault("InvalidEndpoint", advice)
