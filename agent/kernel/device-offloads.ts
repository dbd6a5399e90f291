// What a device leaves to others of a packet's making: checksums, and cutting large segments (ethtool). Of devices in
// the namespace that the thread is in.
import { closeSync } from "node:fs";
import { bindCall } from "../../common/libc.js";
import { AF_INET } from "../netlink/constants.js";
import type { Offload } from "../overlay/offload-test.js";
import { ioctl, SOCK_DGRAM, socket } from "./libc.js";

// linux/sockios.h, linux/ethtool.h.
const SIOCETHTOOL = 0x8946;
const GET = { checksum: 0x16, segmentation: 0x1e } as const;
const SET = { checksum: 0x17, segmentation: 0x1f } as const;
const GET_DRIVER = 0x03;
// struct ethtool_drvinfo: command, then the driver's name, and more; 196 bytes.
const DRIVER_BYTES = 32;
const INFORMATION_BYTES = 196;
// linux/if.h: struct ifreq is the name (IFNAMSIZ) and here a pointer, in 40 bytes.
const NAME_BYTES = 16;
const IFREQ_BYTES = 40;

// It gives back the address that it was given.
const addressOf = bindCall("uint64_t memcpy(void *, const void *, size_t)");
// struct ethtool_value: command, value. Not from Node's pool, and never moved.
const value = Buffer.allocUnsafeSlow(8);
const valueAddress = BigInt(addressOf(value, value, 0));
const information = Buffer.allocUnsafeSlow(INFORMATION_BYTES);
const informationAddress = BigInt(addressOf(information, information, 0));

/** "vxlan", "tun", "veth": what made the device. */
export function driverOf(device: string): string {
  information.fill(0).writeUInt32LE(GET_DRIVER);
  send(device, informationAddress);
  const name = information.subarray(4, 4 + DRIVER_BYTES);
  return name.toString("latin1", 0, name.indexOf(0));
}

export function hasOffload(device: string, offload: Offload): boolean {
  return ask(device, GET[offload], 0) !== 0;
}

/** Without checksums a device cuts no segments either. */
export function setOffload(device: string, offload: Offload, on: boolean): void {
  ask(device, SET[offload], Number(on));
}

function ask(device: string, command: number, argument: number): number {
  value.writeUInt32LE(command, 0);
  value.writeUInt32LE(argument, 4);
  send(device, valueAddress);
  return value.readUInt32LE(4);
}

function send(device: string, address: bigint): void {
  const request = Buffer.alloc(IFREQ_BYTES);
  request.write(device, 0, NAME_BYTES - 1);
  request.writeBigUInt64LE(address, NAME_BYTES);
  const fd = socket(AF_INET, SOCK_DGRAM, 0);
  try {
    ioctl(fd, SIOCETHTOOL, request);
  } finally {
    closeSync(fd);
  }
}
