// Which backend has which number, and which one a client keeps. Numbers stay as they are as far as they can,
// so that one backend that comes or goes changes few elements of a kernel's table.

/**
 * `now`, numbered: who was there keeps its number; who is new takes the number of one that left, or the next one;
 * numbers that are still free then go to the last ones.
 */
export function keepOrder(before: readonly string[], now: readonly string[]): readonly string[] {
  const present = new Set(now);
  const had = new Set(before);
  const newcomers = now.filter((id) => !had.has(id));
  const slots = before.map((id) => (present.has(id) ? id : newcomers.shift()));
  const order = [...slots, ...newcomers];
  for (let hole = order.indexOf(undefined); hole >= 0; hole = order.indexOf(undefined)) {
    const last = order.pop();
    if (hole < order.length && last !== undefined) order[hole] = last;
    else if (last !== undefined) order.push(last);
  }
  return order.filter((id) => id !== undefined);
}

/**
 * The one of `ids` that this client keeps: each pair has a number, and the highest wins (rendezvous hashing,
 * Thaler and Ravishankar 1998). Who loses its backend is the only one that gets another.
 */
export function kept(client: string, ids: readonly string[]): string | undefined {
  let best: string | undefined;
  let highest = -1;
  for (const id of ids) {
    const score = hash(`${client} ${id}`);
    if (score > highest) {
      highest = score;
      best = id;
    }
  }
  return best;
}

// FNV-1a (draft-eastlake-fnv), and MurmurHash3's last steps, without which like texts score alike.
function hash(text: string): number {
  let sum = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    sum = Math.imul(sum ^ text.charCodeAt(at), 0x01000193);
  }
  sum = Math.imul(sum ^ (sum >>> 16), 0x85ebca6b);
  sum = Math.imul(sum ^ (sum >>> 13), 0xc2b2ae35);
  return (sum ^ (sum >>> 16)) >>> 0;
}
