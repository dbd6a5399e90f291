import { expect, test } from "vitest";
import { chooseDataPath, type DataPath, type DataPathWish } from "./data-path.js";

const choice = (wish: DataPathWish, ...broken: readonly DataPath[]) =>
  chooseDataPath(wish, (path) => (broken.includes(path) ? `no ${path}` : undefined));

test.each(["auto", "accelerated"] as const)(
  "%s: the fastest that works, and why not a faster one",
  (wish) => {
    expect(choice(wish)).toEqual({ path: "accelerated", why: [] });
    expect(choice(wish, "accelerated")).toEqual({ path: "kernel", why: ["no accelerated"] });
    expect(choice(wish, "accelerated", "kernel")).toEqual({
      path: "userspace",
      why: ["no accelerated", "no kernel"],
    });
  },
);

test("what two paths lack is said once", () => {
  const problemOf = (path: DataPath) => (path === "userspace" ? undefined : "There is no VXLAN.");
  expect(chooseDataPath("auto", problemOf)).toEqual({
    path: "userspace",
    why: ["There is no VXLAN."],
  });
});

test("what was asked for is not passed over, and what does not work is not insisted on", () => {
  expect(choice("kernel")).toEqual({ path: "kernel", why: [] });
  expect(choice("userspace")).toEqual({ path: "userspace", why: [] });
  expect(choice("kernel", "kernel")).toEqual({ path: "userspace", why: ["no kernel"] });
  expect(choice("userspace", "userspace")).toEqual({ path: "kernel", why: ["no userspace"] });
});
