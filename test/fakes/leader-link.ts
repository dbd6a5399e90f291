// A manager's services as another one asks for them, over a network that is a test's.
import type { MemberServices } from "../../manager/member.js";
import type { Caller, LeaderLink } from "../../manager/seams.js";

export type Method = (request: unknown, caller: Caller) => Promise<unknown>;

export interface Asked {
  /** As gRPC names the method. */
  readonly path: string;
  readonly methodOf: (services: MemberServices) => Method | undefined;
  readonly request: unknown;
  readonly caller: Caller;
}

/**
 * `call` carries a question; what comes of it is the method's, hence who asks knows its type. `living`: a manager's
 * process asks, as one that sends on (as Peers do), and nothing comes of it once that has ended.
 */
export function leaderLink(
  call: (asked: Asked) => Promise<never>,
  living?: <T>(value: Promise<T>) => Promise<T>,
): LeaderLink {
  const forwarded = living !== undefined;
  const service = <Name extends keyof typeof GRPC_NAMES>(name: Name) =>
    new Proxy({} as LeaderLink[Name], {
      get: (_, method: string) => (request: unknown, caller: Caller) => {
        const answer = call({
          path: `/skein.v1.${GRPC_NAMES[name]}/${method.slice(0, 1).toUpperCase()}${method.slice(1)}`,
          methodOf: (services) => (services[name] as unknown as Record<string, Method>)[method],
          request,
          caller: { ...caller, forwarded },
        });
        return living === undefined ? answer : living(answer);
      },
    });
  return {
    membership: service("membership"),
    authority: service("authority"),
    control: service("control"),
  };
}

const GRPC_NAMES = { membership: "Raft", authority: "CertificateAuthority", control: "Control" };
