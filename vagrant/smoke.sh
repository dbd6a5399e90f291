#!/usr/bin/env bash
# A first swarm on real machines, checked: joins node2 … nodeN to node1, makes a network, and has a machine, a
# process and a namespace ping each other across it. Leaves the machines as it found them.
#
#   vagrant/smoke.sh              on the machines of vagrant/Vagrantfile
#   SKEIN_ON='scripts/vm-lab exec' vagrant/smoke.sh
#
# SKEIN_ON is a command that is given a machine's name and a command line to run there as root.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"
manager=${SKEIN_MANAGER:-node1}
read -r -a workers <<<"${SKEIN_WORKERS:-node2 node3}"
manager_addr=${SKEIN_MANAGER_ADDR:-192.168.33.10}

over_vagrant() { local name=$1; shift; vagrant ssh "$name" --no-tty -c "sudo $*" -- -q; }
# Shows the command and what it printed on standard error; what it printed is also the output.
on() {
  local name=$1 out code=0; shift
  printf '\n%s$ %s\n' "$name" "$*" >&2
  # shellcheck disable=SC2086
  out=$(if [ -n "${SKEIN_ON:-}" ]; then cd .. && $SKEIN_ON "$name" "$*"; else over_vagrant "$name" "$*"; fi </dev/null 2>&1 | tr -d '\r') || code=$?
  printf '%s\n' "$out" >&2
  printf '%s\n' "$out"
  return $code
}
fail() { echo "smoke: FAILED: $*" >&2; exit 1; }

last=${workers[${#workers[@]} - 1]}
on "$manager" skein swarm init --advertise-addr "$manager_addr"
token=$(on "$manager" skein swarm join-token --quiet worker)
for worker in "${workers[@]}"; do on "$worker" skein swarm join --token "$token" "$manager_addr:2377"; done
ready=$(on "$manager" skein node ls --format "'{{.Status}}'" | grep -c Ready)
[ "$ready" = $((1 + ${#workers[@]})) ] || fail "only $ready nodes are ready"
on "$manager" skein network create -d overlay --attachable overnet
on "$manager" skein attach --network overnet
on "${workers[0]}" skein run -d --name web --network overnet -- sleep infinity
on "$last" skein run --rm --network overnet -- ping -c 5 10.0.1.3 | grep -q ' 0% packet loss' || fail "a process does not reach a process"
on "$manager" ping -c 3 10.0.1.3 | grep -q ' 0% packet loss' || fail "the machine does not reach a process"
on "$last" ip netns add build
on "$last" skein attach --network overnet --netns build
on "$last" ip netns exec build ping -c 3 10.0.1.3 | grep -q ' 0% packet loss' || fail "a namespace does not reach a process"
on "$manager" skein network inspect overnet | grep -q '4097' || fail "the network's VNI is not 4097"
on "$manager" skein ping overnet || fail "skein ping found a pair that does not answer"

on "$last" skein detach overnet
on "$last" ip netns del build
on "${workers[0]}" skein rm -f web
on "$manager" skein detach overnet
on "$manager" skein network rm overnet
for worker in "${workers[@]}"; do on "$worker" skein swarm leave; done
on "$manager" skein swarm leave --force
echo "smoke: passed"
