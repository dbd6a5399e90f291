import { expect, test } from "vitest";
import { isRefusal } from "../../common/fault.js";
import { ofTheirFamily } from "./data-path-family.js";

const SIX = "fd00:33::12";
const FOUR = "192.168.33.12";

test.each([
  { name: "one of their family stays", wanted: "", own: FOUR, others: "192.168.33.10", want: FOUR },
  { name: "the first node's is what it is", wanted: "", own: SIX, others: "", want: SIX },
  {
    name: "joined by IPv6, it speaks IPv4 as they do",
    wanted: "",
    own: SIX,
    others: "192.168.33.10",
    want: FOUR,
  },
  {
    name: "one that was asked for is not put aside",
    wanted: SIX,
    own: SIX,
    others: "192.168.33.10",
    want: "this swarm's nodes have data path addresses of IPv4 (192.168.33.10), and fd00:33::12 is none: name one of this machine's with --data-path-addr",
  },
  {
    name: "without a way to them there is none",
    wanted: "",
    own: FOUR,
    others: "fd00:33::10",
    want: "this swarm's nodes have data path addresses of IPv6 (fd00:33::10), and 192.168.33.12 is none: name one of this machine's with --data-path-addr",
  },
])("$name", async ({ wanted, own, others, want }) => {
  const chosen = { listenAddr: "0.0.0.0:2377", advertiseAddr: `[${SIX}]:2377`, dataPathAddr: own };
  const towards = async (host: string) => (host.includes(":") ? undefined : FOUR);
  const found = await ofTheirFamily({ wanted, chosen, others }, towards);
  expect(isRefusal(found) ? found.message : found.dataPathAddr).toBe(want);
  if (!isRefusal(found)) expect(found.advertiseAddr).toBe(chosen.advertiseAddr);
});
