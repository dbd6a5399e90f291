// identity/wireguard.key: the node's WireGuard key, as `wg genkey` writes one, mode 0600. It goes with the identity.
import { join } from "node:path";
import { ensureFolder, readIfThere, replaceFile } from "../../common/durable-files.js";
import { WireguardKey } from "../overlay/wireguard-key.js";
import type { WireguardKeyDisk } from "../seams.js";

export function wireguardKeyDiskAt(stateDir: string): WireguardKeyDisk {
  const folder = join(stateDir, "identity");
  const path = join(folder, "wireguard.key");
  return {
    async load() {
      const text = await readIfThere(path);
      return text === undefined ? undefined : WireguardKey.parse(text.toString("latin1"));
    },
    async save(key) {
      await ensureFolder(folder, 0o700);
      await replaceFile(path, Buffer.from(key.text()));
    },
  };
}
