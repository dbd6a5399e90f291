// Every bound of the consensus, in one place.

/** Choice: a batch of a thousand endpoints is about 300 KB. Must fit in one frame (wire/raft-frames.ts). */
export const ENTRY_BYTES_MAX = 2 * 1024 * 1024;
/** Entries of one append message, unless its first alone is larger. */
export const APPEND_BYTES_MAX = 1024 * 1024;
/** proto/raft.proto: a snapshot goes in chunks of at most 1 MiB. */
export const CHUNK_BYTES_MAX = 1024 * 1024;
/** A larger snapshot is refused by its receiver. 100,000 endpoints are about 40 MB. */
export const SNAPSHOT_BYTES_MAX = 1024 * 1024 * 1024;
/** A member that is not heard for this long is sent its snapshot from the beginning, and a newer one. */
export const SNAPSHOT_HOLD_TICKS = 300;
/** Choice: entries that a member is still to be sent stay in memory up to this, whatever was compacted. */
export const HELD_BYTES_MAX = 64 * 1024 * 1024;
/** Append messages that may be under way to one follower (dissertation section 10.2.1, pipelining). */
export const INFLIGHT_MESSAGES_MAX = 64;
export const INFLIGHT_BYTES_MAX = 8 * 1024 * 1024;
/** Proposals are refused while this much waits for a quorum. */
export const UNCOMMITTED_BYTES_MAX = 64 * 1024 * 1024;
/** Reads that wait for a heartbeat round; further ones are dropped, and asked again by who waits. */
export const PENDING_READS_MAX = 1024;
/** A learner this close to the leader's last entry has caught up. */
export const CAUGHT_UP_ENTRIES = INFLIGHT_MESSAGES_MAX;
/**
 * Ticks of 100 ms: a leader is believed in for 1 s after it was heard, and an election begins 1 to 1.5 s
 * after. Choice: so long that no stall of a process unseats it (encoding a snapshot of 100,000 endpoints is
 * the longest known), and so short that with the vote and the new leader's first write 99 of 100 fail-overs
 * take less than 2 s (test/sim/failover.test.ts, `scripts/bench failover`).
 */
export const ELECTION_TICKS = 10;
/** Members differ by up to this many ticks. Choice: a hundred times what a vote takes. */
export const ELECTION_SPREAD_TICKS = 5;
/** How long an election is left to another who has asked for it: more than one tick, in which it votes. */
export const PUT_OFF_TICKS = 2;
/**
 * A vote that was split is held again after a much shorter time, since nobody is waited for but the voters
 * (Raft section 9.3: a timeout need only be well above the time of a broadcast). With each further one in a row it
 * doubles, so that slow voters and disks are given the time they need.
 */
export const SPLIT_VOTE_TICKS = 2;
/**
 * A member that has all there is hears a sign of life this often; any other every tick. Choice: three in the
 * shortest election timeout, so that one that is lost or late deposes nobody. An idle group's cost is these.
 */
export const HEARTBEAT_TICKS = 3;
