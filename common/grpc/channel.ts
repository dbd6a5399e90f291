// Channels to managers: who we show ourselves as, whom we accept, and how soon a cut link is noticed.
import { type ChannelCredentials, type ChannelOptions, credentials } from "@grpc/grpc-js";
import type { Identity } from "../../proto/gen/admin.js";
import { MANAGER_NAME } from "../certificates.js";

/** Largest message that a manager accepts of anybody. */
const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;
/**
 * Largest answer that is accepted of a manager: a list of everything, or a full set of assignments with the
 * configs of all tasks of a node. Docker's own (daemon/cluster, defaultRecvSizeForListResponse).
 */
const ANSWER_BYTES_MAX = 128 * 1024 * 1024;
// Choice: a ping after 3 s of silence and 3 s for its answer, so a cut link is known within 6 s.
const KEEPALIVE_TIME_MS = 3_000;
const KEEPALIVE_TIMEOUT_MS = 3_000;

/** Both ends of every connection on 2377. `scale` stretches the times for slow machines. */
export function keepAliveOptions(scale: number): ChannelOptions {
  return {
    "grpc.keepalive_time_ms": KEEPALIVE_TIME_MS * scale,
    "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS * scale,
    "grpc.keepalive_permit_without_calls": 1,
    ...localServerOptions(),
  };
}

/**
 * For a manager's end of its unix socket. Nothing is pinged there: the kernel tells at once that the other
 * process has gone, and one that only got no time to answer is still there.
 */
export function localServerOptions(): ChannelOptions {
  return {
    "grpc.max_receive_message_length": MESSAGE_BYTES_MAX,
    "grpc.max_send_message_length": ANSWER_BYTES_MAX,
  };
}

/** The same, of its own agent alone: which may bring a backup, of everything. */
export function ownSocketOptions(): ChannelOptions {
  return { ...localServerOptions(), "grpc.max_receive_message_length": ANSWER_BYTES_MAX };
}

/** For a channel to a manager's port 2377. TLS itself proves that the server is a manager of the swarm. */
export function managerChannelOptions(scale = 1): ChannelOptions {
  return {
    ...keepAliveOptions(scale),
    "grpc.max_receive_message_length": ANSWER_BYTES_MAX,
    "grpc.max_send_message_length": MESSAGE_BYTES_MAX,
    "grpc.ssl_target_name_override": MANAGER_NAME,
    "grpc.default_authority": MANAGER_NAME,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1_000 * scale,
    // Two identities of one process (before and after a renewal) must not share a connection.
    "grpc.use_local_subchannel_pool": 1,
    // The swarm's traffic never goes through a proxy that happens to be in the environment.
    "grpc.enable_http_proxy": 0,
    "grpc.service_config_disable_resolution": 1,
  };
}

/** For a channel to the node's own manager on its unix socket. */
export function localChannelOptions(): ChannelOptions {
  return {
    "grpc.max_receive_message_length": ANSWER_BYTES_MAX,
    "grpc.max_send_message_length": ANSWER_BYTES_MAX,
    // Someone waits for the process that is starting, and an attempt on a unix socket costs next to nothing.
    "grpc.initial_reconnect_backoff_ms": 10,
    "grpc.min_reconnect_backoff_ms": 10,
    "grpc.max_reconnect_backoff_ms": 50,
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_http_proxy": 0,
  };
}

/** Shows this node's certificate; trusts this swarm's root and nothing else. */
export function managerChannelCredentials(identity: Identity): ChannelCredentials {
  return credentials.createSsl(
    Buffer.from(identity.rootCaCert),
    Buffer.from(identity.privateKey),
    Buffer.from(identity.certificate),
  );
}

/** For a node that has no certificate yet. `rootCaCert` comes from `verifySwarmRoot`. */
export function joinerChannelCredentials(rootCaCert: Uint8Array): ChannelCredentials {
  return credentials.createSsl(Buffer.from(rootCaCert));
}
