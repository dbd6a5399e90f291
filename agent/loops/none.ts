// A node without containerd.
import { refuse } from "../../common/fault.js";
import type { Images } from "../seams.js";

const NONE = refuse(
  "unavailable",
  "there is no containerd on this node, so there are no images: install it with 'apt-get install containerd'",
);
const none = async () => NONE;

export const NO_IMAGES: Images = {
  problem: () => NONE,
  list: async () => [],
  get: async (ref) => refuse("not-found", `No such image: ${ref}`),
  pull: none,
  push: none,
  load: none,
  save: none,
  import: none,
  tag: none,
  remove: none,
  prune: async () => ({ removed: [], bytes: 0 }),
  inspectRemote: none,
  checkAuth: none,
};
