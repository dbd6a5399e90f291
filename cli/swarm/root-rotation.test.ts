import { expect, test } from "vitest";
import { rootPicture } from "./root-rotation.js";

const tls = (issuer: string, root: string) => ({
  TrustRoot: root,
  CertIssuerSubject: issuer,
  CertIssuerPublicKey: issuer,
});
const node = (name: string, issuer: string, root: string, state = "ready") => ({
  Description: { Hostname: name, TLSInfo: tls(issuer, root) },
  Status: { State: state },
});
const swarm = (RootRotationInProgress: boolean, root: string) => ({
  TLSInfo: tls("new", root),
  RootRotationInProgress,
});

test("while certificates are missing no root counts as rotated, and who is away is named", () => {
  const nodes = [node("a", "new", "both"), node("b", "old", "old", "down")];
  expect(rootPicture(swarm(true, "old"), nodes)).toMatchObject({
    certs: 1,
    roots: 0,
    total: 2,
    away: ["b"],
    isDone: false,
  });
});

test("it is over when the swarm says so and all that are there trust the new root alone", () => {
  const some = [node("a", "new", "new"), node("b", "new", "both")];
  expect(rootPicture(swarm(false, "new"), some)).toMatchObject({ roots: 1, isDone: false });
  const all = [node("a", "new", "new"), node("b", "new", "both", "down")];
  expect(rootPicture(swarm(false, "new"), all)).toMatchObject({ roots: 1, isDone: true });
});
