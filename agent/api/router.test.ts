import { expect, test } from "vitest";
import { empty } from "./answer.js";
import { Router, route } from "./router.js";

const answer = () => empty(204);
const router = new Router([
  route("GET", "/images/json", answer),
  route("GET", "/images/{name...}/json", answer),
  route("GET", "/images/{name...}/get", answer),
  route("DELETE", "/images/{name...}", answer),
  route("GET", "/containers/{id}/json", answer),
]);

const cases: readonly [string, string, Record<string, string> | undefined][] = [
  ["GET", "/images/json", {}],
  ["GET", "/images/alpine/json", { name: "alpine" }],
  ["GET", "/images/localhost:5000/a/b:1/json", { name: "localhost:5000/a/b:1" }],
  ["GET", "/images/localhost%3A5000%2Fa/get", { name: "localhost:5000/a" }],
  ["GET", "/images/json/json", { name: "json" }],
  ["GET", "/images//json", undefined],
  ["GET", "/images/a//b/json", undefined],
  ["GET", "/images/a/b", undefined],
  ["DELETE", "/images", undefined],
  ["DELETE", "/images/a/b@sha256:00", { name: "a/b@sha256:00" }],
  ["GET", "/containers/a/b/json", undefined],
  ["GET", "/containers/a/json", { id: "a" }],
];
for (const [method, path, want] of cases) {
  test(`${method} ${path} is ${want ? JSON.stringify(want) : "no path"}`, () => {
    expect(router.find(method, path)?.params).toEqual(want);
  });
}
