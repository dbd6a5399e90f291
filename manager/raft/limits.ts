// Every bound of the consensus, in one place.

/** Choice: a batch of a thousand endpoints is about 300 KB. Must fit in one 4 MiB gRPC message. */
export const ENTRY_BYTES_MAX = 2 * 1024 * 1024;
/** Entries of one append message, unless its first alone is larger. */
export const APPEND_BYTES_MAX = 1024 * 1024;
/** proto/raft.proto: a snapshot goes in chunks of at most 1 MiB. */
export const CHUNK_BYTES_MAX = 1024 * 1024;
/** A larger snapshot is refused by its receiver. 100,000 endpoints are about 40 MB. */
export const SNAPSHOT_BYTES_MAX = 1024 * 1024 * 1024;
/** Append messages that may be under way to one follower (dissertation section 10.2.1, pipelining). */
export const INFLIGHT_MESSAGES_MAX = 64;
export const INFLIGHT_BYTES_MAX = 8 * 1024 * 1024;
/** Proposals are refused while this much waits for a quorum. */
export const UNCOMMITTED_BYTES_MAX = 64 * 1024 * 1024;
/** Reads that wait for a heartbeat round; further ones are dropped, and asked again by who waits. */
export const PENDING_READS_MAX = 1024;
/** A learner this close to the leader's last entry has caught up. */
export const CAUGHT_UP_ENTRIES = INFLIGHT_MESSAGES_MAX;
/** Design: ticks of 100 ms, election after 1 to 2 s. */
export const ELECTION_TICKS = 10;
/**
 * A member that has all there is hears a sign of life this often; any other every tick. Choice: three in the
 * shortest election timeout, so that one that is lost or late deposes nobody. An idle group's cost is these.
 */
export const HEARTBEAT_TICKS = 3;
