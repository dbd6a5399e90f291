// Pushing: what the registry lacks of an image, then its manifest. An image that was pulled by an index
// goes out as the one manifest that this node has.
import { Readable } from "node:stream";
import { Refused, refuse } from "../../common/fault.js";
import { shortDigest } from "../oci/digest.js";
import { type Descriptor, MANIFEST_BYTES_MAX } from "../oci/manifest.js";
import { nameOf, type Reference } from "../oci/reference.js";
import type { RegistryClient } from "../registry/client.js";
import type { Progress } from "../seams.js";
import type { ImageStore, StoredRecord } from "./store.js";

export async function push(
  store: ImageStore,
  client: RegistryClient,
  reference: Reference,
  { manifest }: StoredRecord,
  report: (progress: Progress) => void,
): Promise<void> {
  report({ status: `The push refers to repository [${nameOf(reference)}]` });
  const { config, layers } = manifest.parsed;
  for (const layer of layers) {
    report({ status: "Preparing", progressDetail: {}, id: shortDigest(layer.digest) });
  }
  for (const layer of layers) await pushBlob(store, client, layer, report);
  await pushBlob(store, client, config, undefined);
  const bytes = await store.blobs.read(manifest.digest, MANIFEST_BYTES_MAX);
  if (bytes === undefined) throw missing(manifest);
  await client.putManifest(reference.tag, bytes, manifest.mediaType);
  const { digest } = manifest;
  const size = bytes.length;
  report({ status: `${reference.tag}: digest: ${digest} size: ${size}` });
  report({ aux: { Tag: reference.tag, Digest: digest, Size: size } });
}

async function pushBlob(
  store: ImageStore,
  client: RegistryClient,
  descriptor: Descriptor,
  report: ((progress: Progress) => void) | undefined,
): Promise<void> {
  const { digest, size } = descriptor;
  const id = shortDigest(digest);
  if (await client.hasBlob(digest)) {
    report?.({ status: "Layer already exists", progressDetail: {}, id });
    return;
  }
  if ((await store.blobs.sizeOf(digest)) !== size) throw missing(descriptor);
  async function* counted() {
    let current = 0;
    for await (const part of store.blobs.stream(digest)) {
      yield part;
      current += part.length;
      report?.({ status: "Pushing", progressDetail: { current, total: size }, id });
    }
  }
  await client.putBlob(descriptor, Readable.from(counted(), { objectMode: false }));
  report?.({ status: "Pushed", progressDetail: {}, id });
}

function missing({ digest }: { readonly digest: string }): Refused {
  const sentence = `${digest} is not on this node any more: pull or load the image again`;
  return new Refused(refuse("failed-precondition", sentence));
}
