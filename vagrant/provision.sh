#!/usr/bin/env bash
# Makes this machine a Skein node: packages, the programs in /opt/skein, the user and group `skein`, two systemd
# units, the agent started. Run it as root from a checkout or an unpacked release; Vagrant runs the same.
# Running it again upgrades: the agent is restarted, containers and their traffic go on.
# How to take it off again is in docs/debugging.md ("Off a machine again").
set -euo pipefail
SOURCE=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
. "$SOURCE/scripts/setup.sh"
PREFIX=/opt/skein

case ${1:-} in
  "") ;;
  -h | --help) sed -n '2,5s/^# //p' "$0"; exit 0 ;;
  *) die "it takes no arguments, not '$1' (settings: SKEIN_TIME_SCALE)" ;;
esac
need_root "vagrant/provision.sh"
command -v systemctl >/dev/null || die "this machine has no systemd; start dist/agent/main.js as root by other means"
need_packages util-linux=nsenter iproute2=ip iputils-ping=ping containerd=containerd runc=runc tini=/usr/bin/tini-static
try_wireguard
# A release is built already and carries its run-time packages.
if [ -e "$SOURCE/RELEASE" ]; then
  need_node without-npm
else
  need_node
  need_modules
  build
fi
say "installing to $PREFIX"
mkdir -p "$PREFIX/bin"
rm -rf "$PREFIX/dist.new" "$PREFIX/node_modules.new"
cp -a "$SOURCE/dist" "$PREFIX/dist.new"
cp "$SOURCE/package.json" "$SOURCE/package-lock.json" "$PREFIX/"
if [ -e "$SOURCE/RELEASE" ]; then
  cp -a "$SOURCE/node_modules" "$PREFIX/node_modules.new"
else
  stage=$(mktemp -d "$PREFIX/stage.XXXXXX")
  cp "$SOURCE/package.json" "$SOURCE/package-lock.json" "$stage/"
  (cd "$stage" && npm ci --omit=dev --silent --no-audit --no-fund) || die "npm ci failed"
  mv "$stage/node_modules" "$PREFIX/node_modules.new"
  rm -rf "$stage"
fi
for part in dist node_modules; do
  rm -rf "$PREFIX/$part.old"
  [ -e "$PREFIX/$part" ] && mv "$PREFIX/$part" "$PREFIX/$part.old"
  mv "$PREFIX/$part.new" "$PREFIX/$part"
  rm -rf "$PREFIX/$part.old"
done
cp "$SOURCE/README.md" "$PREFIX/" 2>/dev/null || true

# A Node of the system's own is used where it is. Another one (private to the checkout, or in somebody's home) may
# be out of reach of the manager's user, or leave with its owner, so a copy of it moves in; renamed into place,
# because the one that runs cannot be written to.
node=$(readlink -f "$(command -v node)")
case $node in
  /usr/* | /opt/*) ;;
  *)
    mkdir -p "$PREFIX/node/bin"
    cp "$node" "$PREFIX/node/bin/node.new"
    node=$PREFIX/node/bin/node
    mv "$node.new" "$node" ;;
esac
for program in agent manager; do
  printf '#!/bin/sh\nexec "%s" "%s/dist/%s/main.js" "$@" $SKEIN_%s_OPTIONS\n' \
    "$node" "$PREFIX" "$program" "${program^^}" >"$PREFIX/bin/skein-$program"
done
printf '#!/bin/sh\nexec "%s" "%s/dist/cli/main.js" "$@"\n' "$node" "$PREFIX" >"$PREFIX/bin/skein"
cp "$SOURCE/vagrant/skein-at-shutdown" "$PREFIX/bin/"
chmod -R go+rX "$PREFIX"
chmod 755 "$PREFIX"/bin/*
ln -sf "$PREFIX/bin/skein" /usr/local/bin/skein

getent group skein >/dev/null || groupadd --system skein
getent passwd skein >/dev/null ||
  useradd --system --gid skein --home-dir /var/lib/skein/manager --no-create-home --shell /usr/sbin/nologin skein
# Whoever ran sudo may use the command line without it after the next login.
if [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ]; then usermod -aG skein "$SUDO_USER"; fi

# A slow (emulated) machine: SKEIN_TIME_SCALE=10 stretches every timeout of the daemons.
if [ -n "${SKEIN_TIME_SCALE:-}" ]; then
  printf 'SKEIN_AGENT_OPTIONS=--time-scale %s\nSKEIN_MANAGER_OPTIONS=--time-scale %s\n' \
    "$SKEIN_TIME_SCALE" "$SKEIN_TIME_SCALE" >/etc/default/skein
fi
install -m 644 "$SOURCE/vagrant/skein-agent.service" "$SOURCE/vagrant/skein-manager.service" /etc/systemd/system/
# The modules would load by themselves on first use; loading them now shows at once what a kernel lacks.
for module in vxlan bridge veth; do
  modprobe "$module" 2>/dev/null || [ -d "/sys/module/$module" ] || say "warning: this kernel has no module '$module'"
done
systemctl daemon-reload
systemctl --quiet enable --now containerd.service || say "warning: containerd does not run: this node has no images until it does"
systemctl --quiet enable skein-agent.service
systemctl try-restart skein-manager.service
systemctl restart skein-agent.service

tries=600
until [ -S /run/skein/skein.sock ]; do
  tries=$((tries - 1))
  [ $tries -gt 0 ] || { journalctl -n 20 -u skein-agent.service >&2 || true; die "the agent did not open /run/skein/skein.sock"; }
  sleep 0.2
done
say "this machine is ready: try 'skein info', then 'skein swarm init' or 'skein swarm join'"
