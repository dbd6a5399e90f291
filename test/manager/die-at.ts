// Loaded before the manager's main (node --import): the process kills itself at the change that FAIL_AT names.
import { failAt } from "./fail-points.js";

const [folder = "", at = "0", how = "before"] = (process.env["FAIL_AT"] ?? "").split("|");
failAt({
  folder,
  at: Number(at),
  how: how === "half" ? "half" : "before",
  die: () => {
    process.kill(process.pid, "SIGKILL");
    return new Promise(() => {});
  },
});
