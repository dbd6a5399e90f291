// The two ends of the userspace data path, as its switch sees them: TAP devices towards the sandboxes, and one UDP
// socket towards the other nodes. All of it is synchronous and on a thread of its own; bytes are named by where they
// lie in a memory that both sides have.

/** UDP datagrams on their way out. They are collected, and leave together. */
export interface DatagramSender {
  /** Begins a datagram to the peer; its `lengthBytes` follow as pieces. `network` hears of it if it cannot be sent. */
  packet(peer: number, lengthBytes: number, network: Float64Array): void;
  /** The bytes stay where they are until `flush`. */
  piece(at: number, lengthBytes: number): void;
  flush(): void;
}

/** The datagrams that came, of a batch. Some came as one: all of the same size, but the last may be shorter. */
export interface DatagramReceiver {
  /** Waits for nothing; how many there are. */
  receive(): number;
  at(index: number): number;
  lengthBytes(index: number): number;
  /** Of each datagram that came as one with others; else the whole length. */
  packetBytes(index: number): number;
  /** Where the sender's address is: 4 or 16 bytes. */
  sourceAt(index: number): number;
}

export interface TapReader {
  /** The length of the next frame, with the virtio-net header before it; 0: there is none now; -1: the TAP is gone. */
  read(tap: number, at: number): number;
}

export interface TapWriter {
  /** A part of the next frame, the virtio-net header first. */
  piece(at: number, lengthBytes: number): void;
  /** Writes what the pieces are; false: the TAP did not take it. */
  write(tap: number): boolean;
}

/** Waits for the descriptors of one thread. */
export interface Ready {
  /** How many can be read now, once there is one. */
  wait(): number;
  /** Of what `wait` found. */
  ready(index: number): number;
  /** Waits for it no more; that it did not is no error. */
  remove(fd: number): void;
}
