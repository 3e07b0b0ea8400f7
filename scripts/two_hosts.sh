#!/bin/bash
# Two hosts, as two network namespaces of this machine, train together through torchrun; then one fails.
#
#   scripts/two_hosts.sh [kill | cut | restart] [TIMEOUT]
#
# kill: all processes of the second host are killed. cut: its network is. Either way both sides end, each with
# a line that says so. restart: the second host's training process is killed, torchrun starts both again
# (--max-restarts), and they go on from the last checkpoint.
# Needs the right to make network namespaces (root); without it, it says so and ends with 0.
set -u
fault=${1:-kill} timeout=${2:-20}
case $fault in
    kill | cut) meeting=(--master-addr 10.77.0.1 --master-port 29500) start=() ;;
    restart) # both sides start again together, with a new store: in the old one are the old addresses
        export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
        meeting=(--rdzv-backend c10d --rdzv-endpoint 10.77.0.1:29500 --rdzv-id two-hosts --max-restarts 3)
        start=(--ckpt_path last)
        ;;
    *) echo "usage: $0 [kill | cut | restart] [TIMEOUT]" >&2; exit 2 ;;
esac
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

launch() { # HOST NODE: one process of this node
    ip netns exec "$1" env GLOO_SOCKET_IFNAME=eth0 OMP_NUM_THREADS=1 \
        torchrun --nnodes 2 --node-rank "$2" --local-addr "10.77.0.$((1 + $2))" --rdzv-conf "is_host=$((1 - $2))" \
        "${meeting[@]}" --nproc-per-node 1 -m nlp_rnn fit "${start[@]}" --config conf/sentiment_builtin.yaml --config conf/trainer/nodes.yaml \
        --trainer.accelerator cpu --trainer.devices 1 --trainer.max_epochs 100000 --timeout "$timeout" \
        --early_stopping.patience 100000 --data.corpus.max_examples 300 --model.hidden_dim 16 \
        --model.embedding_dim 16 --runs "$runs" --trainer.enable_progress_bar false >"$logs/$2" 2>&1
    echo "exit code $?" >>"$logs/$2"
}
touch "$logs/0" "$logs/1"
launch $a 0 2>/dev/null &
launch $b 1 2>/dev/null &
count() { # PATTERN: how many lines there are of it
    cat "$logs"/[01] | grep -c "$1"
}
wait_for() { # PATTERN COUNT: so many lines of it
    until [ "$(count "$1")" -ge "$2" ]; do
        if [ "$(jobs -r | wc -l)" -lt 2 ]; then
            tail -n 20 "$logs"/[01]
            exit 1
        fi
        sleep 0.2
    done
}
training() { # HOST: its training process, which torchrun has started
    for pid in $(ip netns pids "$1"); do
        grep -qz "^TORCHELASTIC_RUN_ID=" "/proc/$pid/environ" && echo "$pid"
    done
}
seconds() { # since the fault
    echo "$(date +%s.%N) - $began" | bc
}
wait_for "^epoch 2/" 1

began=$(date +%s.%N)
case $fault in
    kill) ip netns pids $b | xargs kill -9 ;;
    cut) ip -n $b link set eth0 down ;;
    restart)
        training $b | xargs kill -9
        wait_for "^resuming from" 2
        echo "restart: resumed after $(seconds) s"
        wait_for "^epoch " $(($(count "^epoch ") + 1))
        echo "restart: the next epoch ended after $(seconds) s"
        grep -E "^resuming from|nlp-rnn: error" "$logs"/[01] | sed "s#$logs/##g"
        exit 0
        ;;
esac
wait 2>/dev/null
echo "$fault: both sides ended after $(seconds) s (--timeout $timeout)"
for node in 0 1; do
    echo "host $node: $(grep -m 1 "nlp-rnn: error" "$logs/$node" || echo "killed"), $(tail -n 1 "$logs/$node")"
done
