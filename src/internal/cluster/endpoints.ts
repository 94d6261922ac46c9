/** The endpoint of a runner: where it listens, and where it is reached. Which runners there are, effect/cluster knows. */
import { lookup } from "node:dns/promises"
import { isIP, isIPv6 } from "node:net"
import type * as RunnerAddress from "effect/cluster/RunnerAddress"
import * as Effect from "effect/Effect"

/** An endpoint, and whether a socket has to be one of IPv6 for it. */
export interface Place {
  readonly endpoint: string
  readonly ipv6?: true
}

/** An address as an endpoint, unless the program says what it stands for. */
type EndpointOf = ((address: RunnerAddress.RunnerAddress) => string) | undefined

export const keyOf = ({ host, port }: RunnerAddress.RunnerAddress): string => `${host}:${port}`

const tcp = (host: string, port: number): Place =>
  isIPv6(host) ? { endpoint: `tcp://[${host}]:${port}`, ipv6: true } : { endpoint: `tcp://${host}:${port}` }

// IPv4 first, as libzmq has it. What has no address may be the name of an interface.
const addressOf = (host: string): Effect.Effect<string | undefined> =>
  isIP(host) !== 0 || host === "*"
    ? Effect.succeed(host)
    : Effect.promise(() =>
        lookup(host, { all: true }).then(
          (all) => (all.find(({ family }) => family === 4) ?? all[0])?.address,
          () => undefined
        )
      )

/** What a runner that listens at an address binds to. A name is none that could be bound to, but its address is. */
export const placeToBind = (endpointOf: EndpointOf, address: RunnerAddress.RunnerAddress): Effect.Effect<Place> =>
  Effect.suspend(() =>
    endpointOf === undefined
      ? Effect.map(addressOf(address.host), (host) => tcp(host ?? address.host, address.port))
      : Effect.succeed({ endpoint: endpointOf(address) })
  )

/** What a runner is reached by. A name stays one, as its address may change. */
export const placeToConnect = (endpointOf: EndpointOf, address: RunnerAddress.RunnerAddress): Effect.Effect<Place> =>
  Effect.suspend(() => {
    if (endpointOf !== undefined) return Effect.succeed({ endpoint: endpointOf(address) })
    const place = tcp(address.host, address.port)
    return Effect.map(addressOf(address.host), (host) =>
      host !== undefined && isIPv6(host) ? { ...place, ipv6: true as const } : place
    )
  })
