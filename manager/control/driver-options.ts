// The options of `--opt` that mean something here. What is unknown is kept and does nothing, as Docker does;
// but not in our own name, where a misspelled word would leave open what was meant to be closed.
import { type Refusal, refuse } from "../../common/fault.js";
import { VNI_MAX } from "../../common/ids.js";

const MTU_OPTION = "com.docker.network.driver.mtu";
const VNI_OPTION = "com.docker.network.driver.overlay.vxlanid_list";

// RFC 791: every host takes a datagram of 576 octets; RFC 8200 section 5: every IPv6 link carries 1280.
const MTU_MIN_BYTES = 576;
const MTU_MIN_IPV6_BYTES = 1280;
// RFC 7348 section 5 over IPv4: 50 bytes come on top, and RFC 791 ends a packet at 65535.
const MTU_MAX_BYTES = 65535 - 50;

/** "deny": nothing reaches a task but what a policy allows. "allow" is the same as none. */
export const POLICY_OPTION = "skein.policy";
const POLICIES = ["allow", "deny"];
/** "mac": endpoints may send with others' addresses, as what routes for others does. "own" is the same as none. */
const SOURCES_OPTION = "skein.sources";
const SOURCES = ["own", "mac"];
const OWN_OPTIONS: Readonly<Record<string, readonly string[]>> = {
  [POLICY_OPTION]: POLICIES,
  [SOURCES_OPTION]: SOURCES,
};
const OWN_PREFIX = "skein.";

export interface DriverOptions {
  /** 0: derived on each node. */
  readonly mtuBytes: number;
  /** As asked for; empty: choose. */
  readonly vnis: readonly number[];
}

export function parseDriverOptions(
  options: Readonly<Record<string, string>>,
  subnetCount: number,
  hasIpv6: boolean,
): DriverOptions | Refusal {
  const own = ownProblem(options);
  if (own !== undefined) return refuse("invalid-argument", own);
  let mtuBytes = 0;
  const mtu = options[MTU_OPTION];
  if (mtu !== undefined) {
    mtuBytes = /^\d{1,5}$/.test(mtu) ? Number(mtu) : -1;
    const min = hasIpv6 ? MTU_MIN_IPV6_BYTES : MTU_MIN_BYTES;
    if (mtuBytes !== 0 && (mtuBytes < min || mtuBytes > MTU_MAX_BYTES)) {
      const rule = `it must be ${min} to ${MTU_MAX_BYTES}${hasIpv6 ? " with IPv6" : ""}`;
      return refuse("invalid-argument", `invalid MTU "${mtu}": ${rule}`);
    }
  }
  const vnis = parseVnis(options[VNI_OPTION], subnetCount);
  return "kind" in vnis ? vnis : { mtuBytes, vnis };
}

function ownProblem(options: Readonly<Record<string, string>>): string | undefined {
  const all = Object.entries(OWN_OPTIONS).map(([key, values]) => `${key}=${values.join("|")}`);
  const known = `Skein's own options are ${all.join(" and ")}`;
  for (const [key, value] of Object.entries(options)) {
    if (!key.toLowerCase().startsWith(OWN_PREFIX)) continue;
    const values = OWN_OPTIONS[key];
    if (values === undefined) return `unknown driver option "${key}": ${known}`;
    if (!values.includes(value)) return `invalid ${key} "${value}": ${known}`;
  }
  return undefined;
}

// Docker wants one VNI for each subnet. Here a network has one, whatever its subnets: the first counts,
// and the others must be sound.
function parseVnis(list: string | undefined, subnetCount: number): readonly number[] | Refusal {
  if (list === undefined || list === "") return [];
  const vnis: number[] = [];
  for (const text of list.split(",").map((part) => part.trim())) {
    const vni = /^\d{1,8}$/.test(text) ? Number(text) : 0;
    if (vni < 1 || vni > VNI_MAX) {
      return refuse("invalid-argument", `invalid VNI "${text}": it must be 1 to ${VNI_MAX}`);
    }
    if (vnis.includes(vni)) {
      return refuse("invalid-argument", `VNI ${vni} is listed twice in ${VNI_OPTION}`);
    }
    vnis.push(vni);
  }
  if (vnis.length > subnetCount) {
    const counts = `${vnis.length} VNIs for ${subnetCount} subnet${subnetCount === 1 ? "" : "s"}`;
    return refuse("invalid-argument", `${VNI_OPTION} lists ${counts}`);
  }
  return vnis;
}
