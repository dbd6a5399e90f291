import { expect, test } from "vitest";
import { EINVAL, ENODEV, ENOSYS, EPERM } from "../../common/errno.js";
import { type BpfRefusal, whyUnfit } from "./unfit.js";

const cases: readonly (Partial<BpfRefusal> & { readonly name: string; readonly want: RegExp })[] = [
  { name: "no privilege", call: "mount", errno: EPERM, want: /may not use eBPF.*CAP_SYS_ADMIN/ },
  { name: "a seccomp filter", call: "BPF_MAP_CREATE", errno: EPERM, want: /seccomp/ },
  { name: "no bpf(2)", call: "BPF_MAP_CREATE", errno: ENOSYS, want: /CONFIG_BPF_SYSCALL/ },
  { name: "no BPF file system", call: "mount", errno: ENODEV, want: /no BPF file system/ },
  {
    name: "a kernel that is too old",
    call: "BPF_PROG_LOAD",
    errno: EINVAL,
    verifier: "invalid func unknown#155",
    want: /5\.10\.0, refuses a program \(invalid func unknown#155\); Linux 6\.1/,
  },
  { name: "what nobody foresaw", call: "BPF_MAP_CREATE", errno: EINVAL, want: /^it said so$/ },
];

test.each(cases)("$name", ({ call = "", errno = 0, verifier = "", want }) => {
  expect(whyUnfit({ call, errno, said: "it said so", verifier }, "5.10.0")).toMatch(want);
});
