// The smallest part of etcd's KV service (api/etcdserverpb/rpc.proto), written by hand: Put and Range of one key.
// Skein's members in the benchmark serve it too, so that one client asks both.
import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import { Client, credentials, type ServiceDefinition } from "@grpc/grpc-js";

export interface KeyValue {
  readonly key: Buffer;
  readonly value: Buffer;
}

// PutRequest { key = 1, value = 2 }; RangeRequest { key = 1 }.
const encode = ({ key, value }: KeyValue) => {
  const writer = new BinaryWriter().uint32(10).bytes(key);
  return Buffer.from((value.length > 0 ? writer.uint32(18).bytes(value) : writer).finish());
};

const decode = (bytes: Buffer): KeyValue => {
  const reader = new BinaryReader(bytes);
  const found = { key: Buffer.alloc(0), value: Buffer.alloc(0) };
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === 10) found.key = Buffer.from(reader.bytes());
    else if (tag === 18) found.value = Buffer.from(reader.bytes());
    else reader.skip(tag & 7);
  }
  return found;
};

const raw = (bytes: Buffer) => bytes;
const method = (name: string) => ({
  path: `/etcdserverpb.KV/${name}`,
  requestStream: false,
  responseStream: false,
  requestSerialize: encode,
  requestDeserialize: decode,
  responseSerialize: raw,
  responseDeserialize: raw,
});

export const KV_SERVICE = {
  put: method("Put"),
  range: method("Range"),
} satisfies ServiceDefinition;

const VALUE = Buffer.alloc(512, 1);
const NONE = Buffer.alloc(0);
const KEYS = Array.from({ length: 1_000 }, (_, i) => Buffer.from(`key-${i}`));

export class KvClient {
  readonly #client: Client;
  #next = 0;

  constructor(addr: string) {
    this.#client = new Client(addr, credentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
    });
  }

  /** 512 bytes under one of a thousand keys. */
  put(): Promise<void> {
    return this.#call("Put", { key: this.#key(), value: VALUE });
  }

  /** Linearizable, as is etcd's default. */
  get(): Promise<void> {
    return this.#call("Range", { key: this.#key(), value: NONE });
  }

  /** etcd's Maintenance/Status: whether this member leads. StatusResponse { header = 1 { member_id = 2 }, leader = 4 }. */
  leads(): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const path = "/etcdserverpb.Maintenance/Status";
      this.#client.makeUnaryRequest(path, raw, raw, NONE, (error, bytes) => {
        if (error !== null || bytes === undefined) reject(error);
        else resolve(isLeader(bytes));
      });
    });
  }

  close(): void {
    this.#client.close();
  }

  #key(): Buffer {
    this.#next = (this.#next + 1) % KEYS.length;
    return KEYS[this.#next] ?? NONE;
  }

  #call(name: string, request: KeyValue): Promise<void> {
    return new Promise((resolve, reject) => {
      const path = `/etcdserverpb.KV/${name}`;
      this.#client.makeUnaryRequest(path, encode, raw, request, (error) =>
        error === null ? resolve() : reject(error),
      );
    });
  }
}

function isLeader(bytes: Buffer): boolean {
  let memberId = "";
  let leader = "none";
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === 10) {
      const end = reader.uint32() + reader.pos;
      while (reader.pos < end) {
        const inner = reader.uint32();
        if (inner === 16) memberId = String(reader.uint64());
        else reader.skip(inner & 7);
      }
    } else if (tag === 32) leader = String(reader.uint64());
    else reader.skip(tag & 7);
  }
  return memberId === leader;
}
