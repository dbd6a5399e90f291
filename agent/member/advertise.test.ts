import { expect, test } from "vitest";
import { isRefusal } from "../../common/fault.js";
import { chooseAddresses, type MachineAddress } from "./advertise.js";

const at = (interfaceName: string, address: string, more = {}): MachineAddress => ({
  interfaceName,
  address,
  family: address.includes(":") ? 6 : 4,
  usable: interfaceName !== "lo",
  inside: false,
  ...more,
});
const lo = at("lo", "127.0.0.1");
const eth0 = at("eth0", "192.168.33.10");
const eth1 = at("eth1", "10.0.2.15");
const bridge = at("virbr0", "192.168.122.1", { inside: true });
const six = at("eth0", "2001:db8::1");

const choose = (
  advertiseAddr: string,
  machine: MachineAddress[],
  listenAddr = "",
  dataPathAddr = "",
) => {
  const chosen = chooseAddresses({ listenAddr, advertiseAddr, dataPathAddr }, machine);
  return isRefusal(chosen)
    ? chosen.message
    : `${chosen.listenAddr} ${chosen.advertiseAddr} ${chosen.dataPathAddr}`;
};

const BAD =
  "advertise address must be a non-zero IP address or network interface (with optional port number)";
const cases: [string, string, string][] = [
  ["an address", choose("192.0.2.9", [eth0]), "0.0.0.0:2377 192.0.2.9:2377 192.0.2.9"],
  ["an address and port", choose("192.0.2.9:1", [eth0]), "0.0.0.0:2377 192.0.2.9:1 192.0.2.9"],
  [
    "the listen address's port",
    choose("eth0", [eth0], "0.0.0.0:9"),
    "0.0.0.0:9 192.168.33.10:9 192.168.33.10",
  ],
  [
    "an interface",
    choose("eth0", [lo, eth0, eth1]),
    "0.0.0.0:2377 192.168.33.10:2377 192.168.33.10",
  ],
  [
    "an interface and port",
    choose("eth0:5", [eth0, eth1]),
    "0.0.0.0:2377 192.168.33.10:5 192.168.33.10",
  ],
  ["an IPv6 address", choose("2001:db8::1", [six]), "0.0.0.0:2377 [2001:db8::1]:2377 2001:db8::1"],
  [
    "the only address",
    choose("", [lo, eth0, six]),
    "0.0.0.0:2377 192.168.33.10:2377 192.168.33.10",
  ],
  [
    "the only one that is not a bridge's",
    choose("", [bridge, eth0]),
    "0.0.0.0:2377 192.168.33.10:2377 192.168.33.10",
  ],
  [
    "the address it listens on",
    choose("", [eth0, eth1], "10.0.2.15:7"),
    "10.0.2.15:7 10.0.2.15:7 10.0.2.15",
  ],
  [
    "another data path",
    choose("eth0", [eth0, eth1], "", "eth1"),
    "0.0.0.0:2377 192.168.33.10:2377 10.0.2.15",
  ],
  ["no such interface", choose("nosuchif", [eth0]), BAD],
  ["the unspecified address", choose("0.0.0.0", [eth0]), BAD],
  ["a port out of range", choose("192.0.2.9:99999", [eth0]), BAD],
  [
    "an IPv6 interface, heard by another address than data",
    choose("eth0", [lo, six], "[::]:2378", "[2001:db8::2]"),
    "data path address must be a non-zero IP address or network interface (without a port number)",
  ],
  [
    "an IPv6 interface, with a data path of its own, both written at length",
    choose("[2001:DB8:0::1]", [lo, six], "[::]:2378", "2001:db8:0:0::2"),
    "[::]:2378 [2001:db8::1]:2378 2001:db8::2",
  ],
  [
    "a link-local IPv6 address",
    choose("fe80::1", [six]),
    "fe80::1 is link-local: other nodes cannot tell which of their links it is on",
  ],
  [
    "a link-local IPv6 address for data",
    choose("eth0", [six], "", "fe80::1"),
    "fe80::1 is link-local: other nodes cannot tell which of their links it is on",
  ],
  [
    "a bad listen address",
    choose("", [eth0], "x:y:z"),
    "listen address must be an IP address or network interface (with optional port number)",
  ],
  [
    "a data path with a port",
    choose("", [eth0], "", "192.0.2.1:4789"),
    "data path address must be a non-zero IP address or network interface (without a port number)",
  ],
  [
    "no address at all",
    choose("", [lo]),
    "could not find the system's IP address - specify one with --advertise-addr",
  ],
  [
    "two interfaces",
    choose("", [eth0, eth1]),
    "could not choose an IP address to advertise since this system has multiple addresses on different interfaces (192.168.33.10 on eth0 and 10.0.2.15 on eth1) - specify one with --advertise-addr",
  ],
  [
    "two on one interface",
    choose("", [eth0, at("eth0", "192.0.2.1")]),
    "could not choose an IP address to advertise since this system has multiple addresses on interface eth0 (192.168.33.10 and 192.0.2.1) - specify one with --advertise-addr",
  ],
  [
    "a named interface with two",
    choose("eth0", [eth0, at("eth0", "192.0.2.1")]),
    "interface eth0 has more than one IPv4 address (192.168.33.10 and 192.0.2.1)",
  ],
];
test.each(cases)("advertising: %s", (_name, got, want) => expect(got).toBe(want));
