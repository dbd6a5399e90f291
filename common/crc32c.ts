// CRC-32C (Castagnoli), RFC 3720 appendix B.4: what log records and snapshot chunks are checked with.
// Node's zlib has only the other CRC-32. Eight bytes a step ("slicing-by-8"), about 1 GB/s here.

// The reflected polynomial 0x1EDC6F41.
const POLYNOMIAL = 0x82f63b78;
const SLICES = 8;
const TABLE = makeTable();

function makeTable(): Uint32Array {
  const table = new Uint32Array(256 * SLICES);
  for (let n = 0; n < 256; n++) {
    let crc = n;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    table[n] = crc >>> 0;
  }
  for (let i = 256; i < table.length; i++) {
    const before = at(table, i - 256);
    table[i] = ((before >>> 8) ^ at(table, before & 255)) >>> 0;
  }
  return table;
}

function at(array: Uint32Array | Uint8Array, index: number): number {
  return array[index] ?? 0;
}

/** Pass the result for the bytes before as `seed` to go on. */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  let crc = ~seed;
  let i = 0;
  for (; i + SLICES <= bytes.length; i += SLICES) {
    crc ^=
      at(bytes, i) | (at(bytes, i + 1) << 8) | (at(bytes, i + 2) << 16) | (at(bytes, i + 3) << 24);
    crc =
      at(TABLE, 0x700 + (crc & 255)) ^
      at(TABLE, 0x600 + ((crc >>> 8) & 255)) ^
      at(TABLE, 0x500 + ((crc >>> 16) & 255)) ^
      at(TABLE, 0x400 + (crc >>> 24)) ^
      at(TABLE, 0x300 + at(bytes, i + 4)) ^
      at(TABLE, 0x200 + at(bytes, i + 5)) ^
      at(TABLE, 0x100 + at(bytes, i + 6)) ^
      at(TABLE, at(bytes, i + 7));
  }
  for (; i < bytes.length; i++) crc = (crc >>> 8) ^ at(TABLE, (crc ^ at(bytes, i)) & 255);
  return ~crc >>> 0;
}
