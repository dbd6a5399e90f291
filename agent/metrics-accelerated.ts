// What the programs of the accelerated data path count, as metrics: how frames went, or why they were left to the kernel
// path, by network and reason.
import type { Registry } from "prom-client";
import { type Counts, isCarried, REASONS } from "./bpf/reasons.js";

/** `counts`: by VNI, looked up whenever somebody asks. */
export async function registerAccelerated(
  registry: Registry,
  counts: () => ReadonlyMap<number, Counts>,
): Promise<void> {
  const { Counter } = await import("prom-client");
  const registers = [registry];
  const labelNames = ["vni", "way", "reason"];
  const bytes = new Counter({
    name: "skein_accelerated_bytes_total",
    help: "Bytes of those frames, with their Ethernet headers and without outer ones.",
    labelNames,
    registers,
  });
  new Counter({
    name: "skein_accelerated_frames_total",
    help: "Frames that the eBPF programs carried (way=carried) or left to the kernel path (way=passed-on), and why.",
    labelNames,
    registers,
    collect() {
      this.reset();
      bytes.reset();
      for (const [vni, of] of counts()) {
        for (const reason of REASONS) {
          const way = isCarried(reason) ? "carried" : "passed-on";
          this.inc({ vni, way, reason }, of[reason].frames);
          bytes.inc({ vni, way, reason }, of[reason].bytes);
        }
      }
    },
  });
}
