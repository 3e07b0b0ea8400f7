#!/bin/bash
# Two hosts, as two network namespaces of this machine, train together through torchrun; then one fails.
#
#   scripts/two_hosts.sh [kill | cut] [TIMEOUT]
#
# kill: all processes of the second host are killed. cut: its network is. Either way both sides end, each with
# a line that says so. Needs the right to make network namespaces (root); without it, it says so and ends with 0.
set -u
fault=${1:-kill} timeout=${2:-20}
case $fault in kill | cut) ;; *) echo "usage: $0 [kill | cut] [TIMEOUT]" >&2; exit 2 ;; esac
a=nlp-rnn-a-$$ b=nlp-rnn-b-$$
logs=$(mktemp -d)
runs=$logs/runs

finish() {
    for host in $a $b; do
        ip netns pids "$host" 2>/dev/null | xargs -r kill -9
        ip netns del "$host" 2>/dev/null
    done
    rm -rf "$logs"
}
trap finish EXIT

if ! { ip netns add $a && ip netns add $b; } 2>"$logs/rights"; then
    echo "skipped: no network namespaces here ($(tail -n 1 "$logs/rights"))"
    exit 0
fi
ip link add eth0 netns $a type veth peer name eth0 netns $b || exit 1
number=1
for host in $a $b; do
    ip -n $host address add 10.77.0.$number/24 dev eth0
    ip -n $host link set eth0 up
    ip -n $host link set lo up
    number=$((number + 1))
done

start() { # HOST NODE: one process of this node
    ip netns exec "$1" env GLOO_SOCKET_IFNAME=eth0 OMP_NUM_THREADS=1 \
        torchrun --nnodes 2 --node-rank "$2" --nproc-per-node 1 --master-addr 10.77.0.1 --master-port 29500 \
        -m nlp_rnn fit --config conf/sentiment_builtin.yaml --config conf/trainer/nodes.yaml \
        --trainer.accelerator cpu --trainer.devices 1 --trainer.max_epochs 100000 --timeout "$timeout" \
        --early_stopping.patience 100000 --data.corpus.max_examples 300 --model.hidden_dim 16 \
        --model.embedding_dim 16 --runs "$runs" --trainer.enable_progress_bar false >"$logs/$2" 2>&1
    echo "exit code $?" >>"$logs/$2"
}
start $a 0 &
start $b 1 &
until grep -qs "^epoch 2/" "$logs/0"; do
    if [ "$(jobs -r | wc -l)" -lt 2 ]; then
        tail -n 20 "$logs"/[01]
        exit 1
    fi
    sleep 0.2
done

began=$(date +%s.%N)
if [ "$fault" = kill ]; then
    ip netns pids $b | xargs kill -9
else
    ip -n $b link set eth0 down
fi
wait 2>/dev/null
echo "$fault: both sides ended after $(echo "$(date +%s.%N) - $began" | bc) s (--timeout $timeout)"
for node in 0 1; do
    echo "host $node: $(grep -m 1 "nlp-rnn: error" "$logs/$node" || echo "killed"), $(tail -n 1 "$logs/$node")"
done
