#!/usr/bin/env bash
# A first swarm on real machines, checked: joins node2 … nodeN to node1, makes a network, and has a machine, a
# process and a namespace ping each other across it; then a service of containers with a secret, logs and an update,
# reached by its name and on every machine's port, whose containers outlive the agent and come back when a machine is started anew. Leaves the machines as it found
# them, but for the image that it makes there (scripts/images).
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

over_vagrant() { local name=$1; shift; vagrant ssh "$name" --no-tty -c "sudo bash -c $(printf %q "$*")" -- -q; }
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
# A node may be away for three of these before its tasks go elsewhere: an emulated machine starts an agent, and
# boots, in as many half minutes as another does in seconds.
on "$manager" skein swarm init --advertise-addr "$manager_addr" --dispatcher-heartbeat 60s
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

# Services: one task on each worker, on a network of their own.
for machine in "$manager" "${workers[@]}"; do
  on "$machine" SKEIN_IMAGES=/var/tmp/skein-images /skein/scripts/images load /run/skein/skein.sock alpine
done
on "$manager" skein network create -d overlay --subnet 10.9.0.0/24 apps
on "$manager" "echo -n xyzzy | skein secret create password -"
on "$manager" skein service create --name web --replicas ${#workers[@]} --replicas-max-per-node 1 --constraint node.role==worker \
  --network apps --publish 8090:80 --secret password --limit-memory 64M --no-resolve-image --quiet \
  alpine sh -c "'echo serving \$GREETING; exec httpd -f -v -p 80 -h /run/secrets'"
task_on() { on "$1" skein ps --quiet --filter label=com.docker.swarm.service.name=web | tail -n 1; }
address_of() { on "$1" skein inspect --format "'{{(index .NetworkSettings.Networks \"apps\").IPAddress}}'" "$2" | tail -n 1; }
mine=$(task_on "$last")
theirs=$(address_of "${workers[0]}" "$(task_on "${workers[0]}")")
on "$last" skein exec "$mine" ping -c 3 "$theirs" | grep -q ' 0% packet loss' || fail "a task does not reach a task"
on "$last" skein exec "$mine" wget -q -O - "http://$theirs/password" | grep -q xyzzy || fail "a task has not its secret"
last_addr=$(on "$last" hostname -I | tr ' ' '\n' | grep -m 1 "^${manager_addr%.*}\.")
# By its name, whose address stands for all tasks; and from outside, also where no task is.
by_name() {
  local vip
  on "$last" skein exec "$mine" ping -c 3 web | grep -q ' 0% packet loss' || fail "a service is not reached by its name"
  # A statically linked wget cannot look names up, and one of Debian 12 dies of -T.
  vip=$(on "$last" skein exec "$mine" nslookup web | sed -n 's/^Address: //p' | tail -n 1)
  on "$last" skein exec "$mine" wget -q -O - "http://$vip/password" | grep -q xyzzy || fail "the service's address does not answer"
}
published() {
  local addr
  for addr in 127.0.0.1 "$manager_addr" "$last_addr"; do
    on "$manager" curl -sS --max-time 20 "http://$addr:8090/password" | grep -q xyzzy || fail "the service's port does not answer on $addr"
  done
}
by_name
published
on "$manager" skein service logs web | grep -q "$manager_addr.*response:200" || fail "the service does not see its client's address"
on "$last" skein stats --no-stream "$mine" | grep -q '/ 64MiB' || fail "a task's memory is not limited"
[ "$(on "$manager" skein service logs web | grep -c serving)" = ${#workers[@]} ] || fail "not every task's output is in the logs"
if on "$manager" "command -v docker" >/dev/null; then
  on "$manager" docker -H unix:///run/skein/skein.sock service ps web | grep -q Running || fail "the docker client does not see the tasks"
fi
on "$manager" skein service update --env-add GREETING=again --quiet web
mine=$(task_on "$last")
on "$last" skein exec "$mine" env | grep -q GREETING=again || fail "the update did not come to a task"

# An agent that is killed or stopped takes no container with it.
on "$last" skein run -d --name kept --restart always -p 8080:80 alpine sh -c "'echo here >/tmp/index.html; exec httpd -f -p 80 -h /tmp'"
started() { on "$last" skein inspect --format "'{{.State.StartedAt}}'" kept "$mine"; }
answers() { on "$last" "for i in \$(seq 300); do skein ps >/dev/null 2>&1 && exit; sleep 0.5; done; exit 1" || fail "the agent does not answer"; }
before=$(started)
on "$last" systemctl kill --signal KILL --kill-whom main skein-agent.service
answers
on "$last" systemctl restart skein-agent.service
answers
[ "$(started)" = "$before" ] || fail "a container was started again with the agent"
on "$manager" curl -sS --max-time 20 "http://$last_addr:8080/" | grep -q here || fail "a published port does not answer"

# A machine that is started anew has them again.
boot=$(on "$last" cat /proc/sys/kernel/random/boot_id)
on "$last" systemctl reboot || true
tries=150
until now=$(on "$last" cat /proc/sys/kernel/random/boot_id 2>/dev/null) && [ "$now" != "$boot" ]; do
  tries=$((tries - 1))
  [ $tries -gt 0 ] || fail "$last did not come back"
  sleep 2
done
answers
on "$manager" "for i in \$(seq 300); do skein service ls --format '{{.Replicas}}' | grep -q '^${#workers[@]}/${#workers[@]}' && exit; sleep 1; done; exit 1" ||
  fail "the service did not come back"
on "$last" "for i in \$(seq 300); do [ \$(skein ps -q | wc -l) -ge 2 ] && exit; sleep 1; done; exit 1" || fail "the containers did not come back"
on "$manager" curl -sS --max-time 20 "http://$last_addr:8080/" | grep -q here || fail "a published port does not answer after a boot"
mine=$(task_on "$last")
theirs=$(address_of "${workers[0]}" "$(task_on "${workers[0]}")")
on "$last" skein exec "$mine" ping -c 3 "$theirs" | grep -q ' 0% packet loss' || fail "a task does not reach a task after a boot"
by_name
published

on "$last" skein rm -f kept
on "$manager" skein service rm web
on "$manager" skein secret rm password
on "$manager" "for i in \$(seq 300); do skein network rm apps && exit; sleep 1; done; exit 1" || fail "the network is still in use"
for worker in "${workers[@]}"; do on "$worker" skein swarm leave; done
on "$manager" skein swarm leave --force
echo "smoke: passed"
