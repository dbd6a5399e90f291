// The resolver by itself, in a sandbox, with as many services as are asked for: node names.js RUNDIR SANDBOX COUNT.
import { nameDoor } from "../../agent/kernel/name-sockets.js";
import { Resolver } from "../../agent/loops/resolver.js";
import { reachOf } from "../../agent/reach/reach.js";
import { systemClock } from "../../common/clock.js";
import { createLogger } from "../../common/log.js";
import { systemRandom } from "../../common/random.js";
import { Topic } from "../../common/watch.js";
import { Assignments } from "../../proto/gen/dispatcher.js";
import { EndpointKind } from "../../proto/gen/types.js";

const [runDir = "", sandbox = "", count = "0"] = process.argv.slice(2);
const held = Assignments.create({
  networks: [{ id: "n", spec: { name: "net" }, subnets: [{ cidr: "10.9.0.0/16" }] }],
  endpoints: Array.from({ length: Number(count) }, (_, i) => ({
    id: `v${i}`,
    networkId: "n",
    serviceId: `s${i}`,
    kind: EndpointKind.VIP,
    name: `service-${i}`,
    ipv4: `10.9.${i >> 8}.${i & 255}/16`,
  })),
});
const resolver = new Resolver({
  door: nameDoor(),
  places: {
    changed: new Topic<void>(),
    sandboxNetworks: () =>
      new Map([[sandbox, [{ networkId: "n", kind: "swarm", interfaceName: "eth0" }]]]),
    reach: () => reachOf(held, "me"),
    setNames: () => {},
  },
  runDir,
  clock: systemClock,
  random: systemRandom,
  log: createLogger("bench", "info"),
});
resolver.declare(sandbox, []);
if (!resolver.open(sandbox)) throw new Error("no names there");
