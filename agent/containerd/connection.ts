// The connection to containerd: one channel on its unix socket for all services, every call in our
// namespace. It decides nothing; it says when nobody answers, and is ready again when somebody does.
import { existsSync } from "node:fs";
import {
  credentials,
  InterceptingCall,
  type Interceptor,
  Metadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { Fault, type Refusal, refuse } from "../../common/fault.js";
import type { UnaryMethod } from "../../common/grpc/call.js";
import { plain } from "../../common/grpc/status.js";
import { ContainersClient } from "../../proto/gen/containerd/containers.js";
import { ContentClient } from "../../proto/gen/containerd/content.js";
import { DiffClient } from "../../proto/gen/containerd/diff.js";
import { EventsClient } from "../../proto/gen/containerd/events.js";
import { ImagesClient } from "../../proto/gen/containerd/images.js";
import { IntrospectionClient } from "../../proto/gen/containerd/introspection.js";
import { LeasesClient } from "../../proto/gen/containerd/leases.js";
import { NamespacesClient } from "../../proto/gen/containerd/namespaces.js";
import { SnapshotsClient } from "../../proto/gen/containerd/snapshots.js";
import { TasksClient } from "../../proto/gen/containerd/tasks.js";
import { VersionClient, type VersionResponse } from "../../proto/gen/containerd/version.js";

/** Containerd's default on every Linux, and the only one that the agent works with. */
export const SNAPSHOTTER = "overlayfs";

// Containerd's own limit (its defaults.DefaultMaxRecvMsgSize).
const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;
// Choice: making a task takes a tenth of a second; on a machine that swaps, many seconds.
const CALL_MS = 60_000;
// Choices: how old what is known of it may be, and how long a machine that swaps may think about it.
const ASK_EVERY_MS = 1_000;
const VERSION_MS = 30_000;
// Metadata keys: containerd's namespaces/grpc.go and leases/grpc.go.
const NAMESPACE_KEY = "containerd-namespace";
const LEASE_KEY = "containerd-lease";

export interface ContainerdSettings {
  readonly socketPath: string;
  readonly namespace: string;
}

export interface CallOptions {
  /** 0: as long as it takes. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
  /** What the call makes is kept by this lease. */
  readonly lease?: string;
}

export class Containerd {
  readonly socketPath: string;
  readonly namespace: string;
  readonly containers: ContainersClient;
  readonly content: ContentClient;
  readonly diff: DiffClient;
  readonly events: EventsClient;
  readonly images: ImagesClient;
  readonly introspection: IntrospectionClient;
  readonly leases: LeasesClient;
  readonly namespaces: NamespacesClient;
  readonly snapshots: SnapshotsClient;
  readonly tasks: TasksClient;
  readonly #versions: VersionClient;
  readonly #channel: ReturnType<VersionClient["getChannel"]>;
  #unreachable: string | undefined;
  #version: VersionResponse | undefined;
  #askedMs = Number.NEGATIVE_INFINITY;

  constructor(settings: ContainerdSettings) {
    this.socketPath = settings.socketPath;
    this.namespace = settings.namespace;
    const address = `unix:${settings.socketPath}`;
    const insecure = credentials.createInsecure();
    this.#versions = new VersionClient(address, insecure, {
      "grpc.max_receive_message_length": MESSAGE_BYTES_MAX,
      "grpc.max_send_message_length": MESSAGE_BYTES_MAX,
      // An attempt on a unix socket costs next to nothing, and containers wait for it.
      "grpc.initial_reconnect_backoff_ms": 20,
      "grpc.min_reconnect_backoff_ms": 20,
      "grpc.max_reconnect_backoff_ms": 500,
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_http_proxy": 0,
      "grpc.service_config_disable_resolution": 1,
    });
    this.#channel = this.#versions.getChannel();
    const options = {
      channelOverride: this.#channel,
      interceptors: [withMetadata(NAMESPACE_KEY, settings.namespace)],
    };
    this.containers = new ContainersClient(address, insecure, options);
    this.content = new ContentClient(address, insecure, options);
    this.diff = new DiffClient(address, insecure, options);
    this.events = new EventsClient(address, insecure, options);
    this.images = new ImagesClient(address, insecure, options);
    this.introspection = new IntrospectionClient(address, insecure, options);
    this.leases = new LeasesClient(address, insecure, options);
    this.namespaces = new NamespacesClient(address, insecure, options);
    this.snapshots = new SnapshotsClient(address, insecure, options);
    this.tasks = new TasksClient(address, insecure, options);
  }

  /**
   * Why nothing can be run here, as far as it is known without asking: there is no socket, or nobody
   * listened at the last attempt.
   */
  problem(): Refusal | undefined {
    if (!existsSync(this.socketPath)) {
      return refuse(
        "unavailable",
        `there is no containerd on this node (no socket at ${this.socketPath}): install it with ` +
          "'apt-get install containerd', or say where its socket is with --containerd",
      );
    }
    if (this.#unreachable === undefined) return undefined;
    return refuse(
      "unavailable",
      `containerd does not answer at ${this.socketPath} (${this.#unreachable}): look at ` +
        "'systemctl status containerd'",
    );
  }

  /** What it said when it was last asked; when that was a while ago it is asked, for the next time. */
  get knownVersion(): VersionResponse | undefined {
    if (!existsSync(this.socketPath)) this.#version = undefined;
    else if (performance.now() - this.#askedMs > ASK_EVERY_MS) {
      this.version({ timeoutMs: VERSION_MS }).catch(() => undefined);
    }
    return this.#version;
  }

  /** Asks. Throws as `call` does. */
  async version(options: CallOptions = {}): Promise<VersionResponse> {
    this.#askedMs = performance.now();
    this.#version = await this.call(this.#versions.version.bind(this.#versions), {}, options);
    return this.#version;
  }

  /** Metadata for calls that are streams; unary ones go through `call`. */
  metadata(lease?: string): Metadata {
    const metadata = new Metadata();
    if (lease !== undefined) metadata.set(LEASE_KEY, lease);
    return metadata;
  }

  /** `call(c.tasks.start.bind(c.tasks), request)`. Throws a ContainerdFault. */
  call<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
    options: CallOptions = {},
  ): Promise<Response> {
    const { timeoutMs = CALL_MS, signal } = options;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => call.cancel();
      const deadline = timeoutMs === 0 ? {} : { deadline: Date.now() + timeoutMs };
      const metadata = this.metadata(options.lease);
      const call = method(request, metadata, deadline, (error, value) => {
        signal?.removeEventListener("abort", onAbort);
        if (error) return reject(signal?.aborted ? signal.reason : this.faultOf(error));
        this.#unreachable = undefined;
        resolve(value);
      });
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Of a call or stream that failed; takes note when nobody listened. */
  faultOf(error: ServiceError): ContainerdFault {
    if (error.code === status.UNAVAILABLE) {
      this.#unreachable = plain(error.details);
      this.#version = undefined;
    } else this.#unreachable = undefined;
    return new ContainerdFault(error.code, plain(error.details), error);
  }

  close(): void {
    this.#channel.close();
  }
}

/** What containerd, or who it asked (runc), said: `details` is its sentence. */
export class ContainerdFault extends Fault {
  constructor(
    readonly grpcStatus: status,
    readonly details: string,
    cause: unknown,
  ) {
    super("CONTAINERD", { status: status[grpcStatus], why: details }, cause);
  }
}

export function isNotFound(error: unknown): boolean {
  return error instanceof ContainerdFault && error.grpcStatus === status.NOT_FOUND;
}

export function alreadyExists(error: unknown): boolean {
  return error instanceof ContainerdFault && error.grpcStatus === status.ALREADY_EXISTS;
}

/** Nobody listens: it is restarting, or gone. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof ContainerdFault && error.grpcStatus === status.UNAVAILABLE;
}

function withMetadata(key: string, value: string): Interceptor {
  return (options, nextCall) =>
    new InterceptingCall(nextCall(options), {
      start(metadata, listener, next) {
        metadata.set(key, value);
        next(metadata, listener);
      },
    });
}
