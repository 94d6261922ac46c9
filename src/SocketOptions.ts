/**
 * The options of each socket type, named as zeromq.js spells them.
 *
 * **Details**
 *
 * Every time is a `Duration.Input`: a number of milliseconds, `"5 seconds"`, a
 * `Duration`. Where libzmq has a number for "for ever" or "as the operating
 * system likes", that is `"Infinity"` here, and each option says which it is.
 * libzmq counts in whole milliseconds, so fractions are rounded up. Secrets are
 * `Redacted`, so that no log and no error shows them. A property that is
 * `undefined` is as good as absent.
 *
 * All options are checked before a socket is made. One that is unknown to the
 * socket type, or has a value that libzmq would refuse, cut short or wrap
 * around, fails with an `OptionError`.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Redacted from "effect/Redacted"
import type * as Curve from "./Curve.ts"
import type * as Null from "./Null.ts"
import type * as Plain from "./Plain.ts"

/**
 * Where a socket listens and where it connects, as soon as it is open.
 *
 * @category options
 * @since 0.1.0
 */
export interface EndpointOptions {
  /**
   * One endpoint or several to bind, like `"tcp://127.0.0.1:5555"` or, for any free port, `"tcp://127.0.0.1:*"`.
   * Default: none.
   */
  readonly bind?: string | ReadonlyArray<string> | undefined
  /** One endpoint or several to connect to, like `"tcp://127.0.0.1:5555"`. Default: none. */
  readonly connect?: string | ReadonlyArray<string> | undefined
}

/**
 * How connections are made, kept and given up.
 *
 * @category options
 * @since 0.1.0
 */
export interface ConnectionOptions {
  /**
   * Whether connections are watched from the first endpoint on, so that `events`, `status` and `awaitPeers` miss none. It takes
   * two more sockets and file descriptors, and an open socket then keeps the process running. While the program is
   * busy libzmq keeps 2,000 events, and then makes new connections of the whole context wait: set it to `false` for a
   * port that is open to the world in a program that computes for long at a time.
   *
   * Default: `true`, and `false` in a worker thread, whose `terminate()` would abort the process. `zmq_socket_monitor`
   */
  readonly monitor?: boolean | undefined
  /**
   * Lets the socket bind and connect over IPv6 as well as IPv4. Without it an IPv6 address binds nothing and never
   * connects. Default: `false`. `ZMQ_IPV6`
   */
  readonly ipv6?: boolean | undefined
  /**
   * How long the socket keeps trying to deliver what was sent after it is closed. Its scope closes when that is on its
   * way, or this time has passed: then a warning says so. Over inproc what was sent is the peer's already. In a worker
   * thread a socket that is not watched (see `monitor`) is left to libzmq, which delivers for as long, if the process
   * goes on. `"Infinity"` keeps trying for ever, and then one message that nobody takes keeps the scope from closing.
   *
   * Default: 5 seconds, for `sub` and `xsub` 0 (libzmq: infinite, for `sub` and `xsub` 0). `ZMQ_LINGER`
   */
  readonly linger?: Duration.Input | undefined
  /**
   * Queues messages for established connections only, so that none waits for a peer that never comes. Default:
   * `false`. `ZMQ_IMMEDIATE`
   */
  readonly immediate?: boolean | undefined
  /**
   * The wait before a lost connection is made again. 0 or `"Infinity"`: it is never made again. Default: 100 ms.
   * `ZMQ_RECONNECT_IVL`
   *
   * libzmq gives a connection up for good if the peer refuses us, or breaks the rules of the protocol. Such a connection is
   * made again too, if connections are watched (`monitor`): after this time at first, and twice as long each time after
   * that, up to `reconnectMaxInterval`, or up to 10 seconds where that is 0. What it had accepted and not sent is lost. From
   * then on it takes messages only while the peer is there, as with `immediate`.
   */
  readonly reconnectInterval?: Duration.Input | undefined
  /**
   * Each failed attempt doubles `reconnectInterval` up to this. 0: it stays the same, but for peers that refuse us (10
   * seconds). Cannot be infinite. Default: 0. `ZMQ_RECONNECT_IVL_MAX`
   */
  readonly reconnectMaxInterval?: Duration.Input | undefined
  /**
   * How long one attempt to connect may take. 0 or `"Infinity"`: as long as the operating system allows. Default: 0.
   * `ZMQ_CONNECT_TIMEOUT`
   */
  readonly connectTimeout?: Duration.Input | undefined
  /**
   * How long a peer has to complete the ZMTP handshake before it is cut off. 0 or `"Infinity"`: no limit. Default:
   * 30 seconds. `ZMQ_HANDSHAKE_IVL`
   */
  readonly handshakeInterval?: Duration.Input | undefined
  /** How often to ping the peer. 0 or `"Infinity"`: never. Default: 0. `ZMQ_HEARTBEAT_IVL` */
  readonly heartbeatInterval?: Duration.Input | undefined
  /**
   * How long the peer may stay silent after a ping before the connection is dropped. 0 or `"Infinity"`: as long as
   * it likes. Default: the `heartbeatInterval`. `ZMQ_HEARTBEAT_TIMEOUT`
   */
  readonly heartbeatTimeout?: Duration.Input | undefined
  /**
   * How long the peer should wait for our next ping before it drops the connection, at most 6553.599 seconds. Counted
   * in tenths of a second, and less than one is raised to one. 0 or `"Infinity"`: the peer need not.
   *
   * Default: 0. `ZMQ_HEARTBEAT_TTL`
   */
  readonly heartbeatTimeToLive?: Duration.Input | undefined
  /** How many connections may wait to be accepted. Default: 100. `ZMQ_BACKLOG` */
  readonly backlog?: number | undefined
  /**
   * The largest message to accept, in bytes: a peer that sends a larger one is disconnected. -1: no limit. Over inproc
   * there is none. Default: -1, but of a PUB 640, as subscribers send it their topics alone: so these have up to 512
   * bytes, and must be longer by your leave only (libzmq needs some 50 bytes of memory, and some time, for each byte of
   * a topic). `ZMQ_MAXMSGSIZE`
   */
  readonly maxMessageSize?: number | undefined
  /**
   * A bit mask of the context's I/O threads that may serve this socket's connections. 0: all of them. Default: 0.
   * `ZMQ_AFFINITY`
   */
  readonly affinity?: number | undefined
}

/**
 * What the TCP transport asks of the operating system.
 *
 * @category options
 * @since 0.1.0
 */
export interface TcpOptions {
  /** TCP keep-alive: 1 on, 0 off, -1 as the operating system has it. Default: -1. `ZMQ_TCP_KEEPALIVE` */
  readonly tcpKeepalive?: -1 | 0 | 1 | undefined
  /**
   * How many keep-alive probes may go unanswered, 1 to 127. -1: as the operating system has it. Default: -1.
   * `ZMQ_TCP_KEEPALIVE_CNT`
   */
  readonly tcpKeepaliveCount?: number | undefined
  /**
   * How long a connection is idle before the first keep-alive probe: whole seconds, 1 to 32,767. `"Infinity"`: as
   * the operating system has it. Default: `"Infinity"`. `ZMQ_TCP_KEEPALIVE_IDLE`
   */
  readonly tcpKeepaliveIdle?: Duration.Input | undefined
  /**
   * The wait between keep-alive probes: whole seconds, 1 to 32,767. `"Infinity"`: as the operating system has it.
   * Default: `"Infinity"`. `ZMQ_TCP_KEEPALIVE_INTVL`
   */
  readonly tcpKeepaliveInterval?: Duration.Input | undefined
  /**
   * How long sent data may stay unacknowledged before the connection is dropped. 0 or `"Infinity"`: as the operating
   * system has it. Default: 0. `ZMQ_TCP_MAXRT`
   */
  readonly tcpMaxRetransmitTimeout?: Duration.Input | undefined
  /**
   * Addresses, or networks like `"10.0.0.0/8"`, to accept connections from. IPv6 ones need `ipv6`. Default: all.
   * libzmq recommends ZAP instead. `ZMQ_TCP_ACCEPT_FILTER`
   */
  readonly tcpAcceptFilter?: string | ReadonlyArray<string> | undefined
  /** The type-of-service byte of the IP header, 0 to 255. Default: 0. `ZMQ_TOS` */
  readonly typeOfService?: number | undefined
  /**
   * The network interface or VRF to use, 1 to 15 bytes; Linux only, with CAP_NET_RAW. The libzmq that comes with zeromq
   * is built without it: there a bind fails and a connect never succeeds.
   *
   * Default: any. `ZMQ_BINDTODEVICE`
   */
  readonly interface?: string | undefined
  /** A faster path for loopback connections, on Windows only. Default: `false`. `ZMQ_LOOPBACK_FASTPATH` */
  readonly loopbackFastPath?: boolean | undefined
}

/**
 * One side of a security mechanism: what `Curve.server`, `Curve.client`,
 * `Plain.server`, `Plain.client` and `Null.server` make.
 *
 * @category options
 * @since 0.1.0
 */
export type Security = Curve.Server | Curve.Client | Plain.Server | Plain.Client | Null.Server

/**
 * Who may talk: `security`, or the options of libzmq that it stands for, and not
 * both. A socket uses one mechanism, as its server or as its client, whichever
 * side binds.
 *
 * **Details**
 *
 * Without any of them everybody gets in, and nothing is encrypted. With them a
 * peer that uses another mechanism, or none, does not get in. Only `inproc://`
 * endpoints have no handshake, so that whoever is in the process gets in.
 *
 * @category options
 * @since 0.1.0
 */
export interface SecurityOptions {
  /** The mechanism, and the side of it that this socket is. Default: none. */
  readonly security?: Security | undefined
  /**
   * Makes this socket the PLAIN server, which asks its peers for a name and a password, and the ZAP handler about
   * them. Without a handler nobody gets in. Default: `false`. `ZMQ_PLAIN_SERVER`
   */
  readonly plainServer?: boolean | undefined
  /** The name of a PLAIN client, 1 to 255 bytes. Default: none. `ZMQ_PLAIN_USERNAME` */
  readonly plainUsername?: string | undefined
  /** The password of a PLAIN client, 1 to 255 bytes. Default: none. `ZMQ_PLAIN_PASSWORD` */
  readonly plainPassword?: Redacted.Redacted<string> | undefined
  /**
   * Makes this socket the CURVE server; it needs `curveSecretKey`. Without a ZAP handler everybody gets in who has the
   * public key of the server, unless `zapDomain` and `zapEnforceDomain` are set too. Default: `false`.
   * `ZMQ_CURVE_SERVER`
   */
  readonly curveServer?: boolean | undefined
  /**
   * This socket's own public key, 40 characters of Z85. A CURVE client needs it. Default: none.
   * `ZMQ_CURVE_PUBLICKEY`
   */
  readonly curvePublicKey?: string | undefined
  /**
   * This socket's own secret key, 40 characters of Z85. Both sides of CURVE need theirs. Default: none.
   * `ZMQ_CURVE_SECRETKEY`
   */
  readonly curveSecretKey?: Redacted.Redacted<string> | undefined
  /**
   * The server's public key, 40 characters of Z85. A CURVE client needs it, a server must not have it. Default:
   * none. `ZMQ_CURVE_SERVERKEY`
   */
  readonly curveServerKey?: string | undefined
  /**
   * The domain that the ZAP handler is told, 1 to 255 bytes. Without it the handler is not asked about the peers of a
   * socket with no mechanism. Default: none. `ZMQ_ZAP_DOMAIN`
   */
  readonly zapDomain?: string | undefined
  /**
   * With a `zapDomain`: nobody gets in while there is no ZAP handler to ask, where everybody would (CURVE, or no
   * mechanism). Without one: the handler of a CURVE server is not asked, and everybody gets in who has its public key.
   * `security` with a domain sets it. Default: `false`. `ZMQ_ZAP_ENFORCE_DOMAIN`
   */
  readonly zapEnforceDomain?: boolean | undefined
}

/**
 * Multicast transports, which need a libzmq built with PGM or NORM. The one
 * that comes with zeromq is not.
 *
 * @category options
 * @since 0.1.0
 */
export interface MulticastOptions {
  /** The highest multicast data rate, in kilobits a second. Default: 100. `ZMQ_RATE` */
  readonly rate?: number | undefined
  /**
   * How long a multicast receiver may be absent before data is lost for good. Cannot be infinite. Default: 10
   * seconds. `ZMQ_RECOVERY_IVL`
   */
  readonly recoveryInterval?: Duration.Input | undefined
  /** The largest multicast packet to send, in bytes. Default: 1500. `ZMQ_MULTICAST_MAXTPDU` */
  readonly multicastMaxTransportDataUnit?: number | undefined
}

/**
 * What every socket type takes.
 *
 * @category options
 * @since 0.1.0
 */
export interface CommonOptions
  extends EndpointOptions,
    ConnectionOptions,
    TcpOptions,
    SecurityOptions,
    MulticastOptions {}

/**
 * What every socket type that receives takes.
 *
 * @category options
 * @since 0.1.0
 */
export interface ReceivingOptions {
  /**
   * How many messages to hold for each peer until they are received. 0: no limit. Default: 1000, but of an XPUB 2, as
   * libzmq empties what is held of a subscriber whenever the socket is used, and goes on while more comes. Who a peer is
   * that an authenticator lets in counts as one, so that libzmq is given 2 there for 1. `ZMQ_RCVHWM`
   */
  readonly receiveHighWaterMark?: number | undefined
  /** The kernel's receive buffer in bytes. -1: as the operating system has it. Default: -1. `ZMQ_RCVBUF` */
  readonly receiveBufferSize?: number | undefined
  /**
   * How long a receive waits before it fails with `Again`, by the Effect `Clock`. `"Infinity"`: for ever. Default:
   * `"Infinity"`. Stands in for `ZMQ_RCVTIMEO`, which is not used.
   */
  readonly receiveTimeout?: Duration.Input | undefined
}

/**
 * What every socket type that sends takes.
 *
 * @category options
 * @since 0.1.0
 */
export interface SendingOptions {
  /**
   * How many messages to hold for each peer until they are sent. 0: no limit. Default: 1000, but of an XSUB 100,000:
   * subscriptions above it are dropped without a word, those above the half of it when a publisher has come back, so
   * that it has to be twice the number of topics at least. Those of a SUB, and the groups of a DISH, have no limit.
   * `ZMQ_SNDHWM`
   */
  readonly sendHighWaterMark?: number | undefined
  /** The kernel's send buffer in bytes. -1: as the operating system has it. Default: -1. `ZMQ_SNDBUF` */
  readonly sendBufferSize?: number | undefined
  /**
   * How long a send waits for room before it fails with `Again`, by the Effect `Clock`. `"Infinity"`: for ever.
   * Default: `"Infinity"`. Stands in for `ZMQ_SNDTIMEO`, which is not used.
   */
  readonly sendTimeout?: Duration.Input | undefined
  /**
   * How many network hops a multicast packet may take, 1 to 255. Default: 1, the local network. `ZMQ_MULTICAST_HOPS`
   */
  readonly multicastHops?: number | undefined
}

/**
 * For sockets that may keep the last message only.
 *
 * @category options
 * @since 0.1.0
 */
export interface ConflateOptions {
  /**
   * Keeps the last message only, whatever the high water marks say. For messages of one frame: to send one of several
   * fails with `EncodeError`, and of one that is received the last frame is kept. A SUB has one topic then, the one it
   * is opened with, and of the topics of a peer a PUB knows the last alone. Default: `false`. `ZMQ_CONFLATE`
   */
  readonly conflate?: boolean | undefined
}

/**
 * For sockets that a ROUTER can address.
 *
 * @category options
 * @since 0.1.0
 */
export interface RoutingIdOptions {
  /**
   * The name under which a ROUTER knows this socket: 1 to 255 bytes, the first not zero, unique among its peers.
   * Default: the ROUTER makes one up. `ZMQ_ROUTING_ID`
   */
  readonly routingId?: string | Uint8Array | undefined
}

/**
 * For sockets that can announce themselves to a ROUTER.
 *
 * @category options
 * @since 0.1.0
 */
export interface ProbeOptions {
  /**
   * Sends an empty message on every new connection, by which a ROUTER learns of this peer. For ROUTER peers only.
   * Default: `false`. `ZMQ_PROBE_ROUTER`
   */
  readonly probeRouter?: boolean | undefined
}

/**
 * For sockets that match messages with subscriptions.
 *
 * @category options
 * @since 0.1.0
 */
export interface MatchingOptions {
  /**
   * Turns matching around: a message goes to those who did not subscribe to it. Publishers and subscribers must
   * agree. Default: `false`. `ZMQ_INVERT_MATCHING`
   */
  readonly invertMatching?: boolean | undefined
}

/**
 * For sockets that publish.
 *
 * @category options
 * @since 0.1.0
 */
export interface PublishingOptions extends MatchingOptions {
  /**
   * Makes a send wait for subscribers that are behind, where it would drop the message for them. Default: `false`.
   * `ZMQ_XPUB_NODROP`
   */
  readonly noDrop?: boolean | undefined
}

/**
 * Options of a PULL socket.
 *
 * @category options
 * @since 0.1.0
 */
export interface PullOptions extends CommonOptions, ReceivingOptions, ConflateOptions {}

/**
 * Options of a PUSH socket.
 *
 * @category options
 * @since 0.1.0
 */
export interface PushOptions extends CommonOptions, SendingOptions, ConflateOptions {}

/**
 * Options of a PUB socket.
 *
 * @category options
 * @since 0.1.0
 */
export interface PubOptions extends CommonOptions, SendingOptions, ConflateOptions, PublishingOptions {}

/**
 * Options of a SUB socket.
 *
 * @category options
 * @since 0.1.0
 */
export interface SubOptions extends CommonOptions, ReceivingOptions, ConflateOptions, MatchingOptions {
  /**
   * The prefixes of the messages to receive. `""` receives everything, and a SUB without any receives nothing, so
   * this one is required: `[]` says that the program subscribes later. `ZMQ_SUBSCRIBE`
   */
  readonly subscribe: string | Uint8Array | ReadonlyArray<string | Uint8Array>
}

/**
 * Options of a REQ socket.
 *
 * @category options
 * @since 0.1.0
 */
export interface ReqOptions extends CommonOptions, ReceivingOptions, SendingOptions, RoutingIdOptions, ProbeOptions {
  /**
   * Numbers every request, so that a late reply is never taken for the reply to another request. Default: `true`
   * (libzmq: `false`). `ZMQ_REQ_CORRELATE`
   */
  readonly correlate?: boolean | undefined
  /**
   * Lets a request be sent before the last one was answered, which is then given up. Leave `correlate` on with it.
   * Default: `true` (libzmq: `false`). `ZMQ_REQ_RELAXED`
   */
  readonly relaxed?: boolean | undefined
}

/**
 * Options of a REP socket.
 *
 * @category options
 * @since 0.1.0
 */
export interface RepOptions extends CommonOptions, ReceivingOptions, SendingOptions, RoutingIdOptions {}

/**
 * Options of a DEALER socket.
 *
 * @category options
 * @since 0.1.0
 */
export interface DealerOptions
  extends CommonOptions,
    ReceivingOptions,
    SendingOptions,
    ConflateOptions,
    RoutingIdOptions,
    ProbeOptions {}

/**
 * Options of a ROUTER socket.
 *
 * @category options
 * @since 0.1.0
 */
export interface RouterOptions extends CommonOptions, ReceivingOptions, SendingOptions, RoutingIdOptions, ProbeOptions {
  /**
   * Makes a send to an unknown peer fail with `Unroutable`, and one to a peer that is behind wait, where the message
   * would vanish. Default: `true` (libzmq: `false`). `ZMQ_ROUTER_MANDATORY`
   */
  readonly mandatory?: boolean | undefined
  /**
   * Gives a routing id that is in use to the newcomer and drops its old owner, where the newcomer would be refused.
   * Handlers of requests of the old owner go on, and their replies go to whoever has the name by then. Default: `false`.
   * `ZMQ_ROUTER_HANDOVER`
   */
  readonly handover?: boolean | undefined
}

/**
 * Options of a PAIR socket.
 *
 * @category options
 * @since 0.1.0
 */
export interface PairOptions extends CommonOptions, ReceivingOptions, SendingOptions {}

/**
 * Options of an XPUB socket. There is none for libzmq's `ZMQ_XPUB_MANUAL`: when
 * a peer sends anything that is no subscription, libzmq accepts those that
 * follow for other peers than they came from. Say who may connect with
 * `security`.
 *
 * @category options
 * @since 0.1.0
 */
export interface XPubOptions extends CommonOptions, ReceivingOptions, SendingOptions, PublishingOptions {
  /** What a new subscriber is sent first, if it subscribed to it. Default: nothing. `ZMQ_XPUB_WELCOME_MSG` */
  readonly welcomeMessage?: string | Uint8Array | undefined
  /**
   * Which subscriptions of subscribers are received: `null` those that are new to this socket and the last of each
   * topic to go, `"allSubs"` every subscription, `"allSubsUnsubs"` every subscription and unsubscription.
   *
   * Default: `null`. `ZMQ_XPUB_VERBOSE`, `ZMQ_XPUB_VERBOSER`
   */
  readonly verbosity?: null | "allSubs" | "allSubsUnsubs" | undefined
}

/**
 * Options of an XSUB socket.
 *
 * @category options
 * @since 0.1.0
 */
export interface XSubOptions extends CommonOptions, ReceivingOptions, SendingOptions {
  /**
   * The prefixes of the messages to receive; `""` receives everything. Default: none, until the program subscribes.
   * Sent to publishers as subscription messages.
   */
  readonly subscribe?: string | Uint8Array | ReadonlyArray<string | Uint8Array> | undefined
}

/**
 * Options of a STREAM socket. It has none for security: plain TCP has no
 * handshake, and libzmq would take them and let everybody in.
 *
 * @category options
 * @since 0.1.0
 */
export interface RawStreamOptions extends Omit<CommonOptions, keyof SecurityOptions>, ReceivingOptions, SendingOptions {
  /** Receives an empty message when a peer connects and when it goes. Default: `true`. `ZMQ_STREAM_NOTIFY` */
  readonly notify?: boolean | undefined
}
