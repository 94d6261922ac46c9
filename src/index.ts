/**
 * @since 0.1.0
 */
export * as Codec from "./Codec.ts"
export * as Curve from "./Curve.ts"
export * as Draft from "./Draft.ts"
export * as Engine from "./Engine.ts"
export * as Null from "./Null.ts"
export * as Plain from "./Plain.ts"
export * as Proxy from "./Proxy.ts"
export * as Z85 from "./Z85.ts"
export * as Zap from "./Zap.ts"
export * as Zmq from "./Zmq.ts"
