import { defineConfig } from "vitest/config";

// Two kinds of test, told apart by what they need: "unit" runs anywhere and touches nothing outside
// the process's own temporary folder; "netns" needs root and a built dist/, and makes its own hosts.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["{common,manager,agent,cli,test}/**/*.test.ts"],
          exclude: ["test/netns/**", "node_modules/**", "dist/**"],
          testTimeout: 20_000,
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
