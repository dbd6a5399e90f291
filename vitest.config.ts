import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

// Three kinds of test, told apart by what they need: "unit" runs anywhere and touches nothing outside
// the process's own temporary folder; "sim" needs not even a clock; "netns" needs root and a built dist/, and
// makes its own hosts.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["{common,manager,agent,cli,test}/**/*.test.ts"],
          exclude: ["test/netns/**", "test/sim/**", "node_modules/**", "dist/**"],
          testTimeout: 20_000,
          // Vitest itself would leave a processor free, and use one of two.
          maxWorkers: availableParallelism(),
        },
      },
      {
        test: {
          name: "sim",
          include: ["test/sim/**/*.test.ts"],
          testTimeout: 60_000,
          // Virtual time: what takes longer because others run beside it comes out the same.
          maxWorkers: availableParallelism(),
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: "netns",
          include: ["test/netns/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // One file at a time: each lab is three agents and managers on two cores.
          fileParallelism: false,
        },
      },
    ],
  },
});
