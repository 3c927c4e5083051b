#!/bin/sh
# The benchmark's peers beside oncefold: sets up their environment, makes the input, runs all, writes one table.
#
#   bench/peers/run.sh [EVENTS.jsonl]
#
# By environment: COUNT events to generate (default 1000000), REPEAT runs of each, the fastest counts (default 1),
# OUT the file of the table (default docs/peers.md), PYTHON an interpreter the peers have wheels for, ONCEFOLD=no
# for the peers alone, relative to the dict.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
repo=$(cd "$here/../.." && pwd)
work=$here/.work
venv=$here/.venv
count=${COUNT:-1000000}
repeat=${REPEAT:-1}
out=${OUT:-$repo/docs/peers.md}
input=${1:-}
if [ -n "$input" ]; then
    input=$(cd "$(dirname "$input")" && pwd)/$(basename "$input")
fi

if [ ! -f "$venv/.ready" ] || [ "$here/requirements.txt" -nt "$venv/.ready" ]; then
    if [ -z "${PYTHON:-}" ]; then
        PYTHON=$repo/.venv/bin/python
        [ -x "$PYTHON" ] || PYTHON=python3
    fi
    "$PYTHON" -m venv "$venv"
    if "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: \
        -r "$here/requirements.txt"; then
        touch "$venv/.ready"
    else
        # One by one, so that a peer without a wheel for this interpreter costs its own row only.
        grep -v '^#' "$here/requirements.txt" | while read -r requirement; do
            "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: "$requirement" ||
                echo "$requirement cannot be installed here; its row will say that it failed" >&2
        done
    fi
fi

mkdir -p "$work"
if [ -z "$input" ]; then
    input=$work/events-$count.jsonl
    if [ ! -f "$input" ]; then
        "$repo/.venv/bin/oncefold" generate --count "$count" --seed 7 --modifications 0.3 --duplicates 0.1 \
            --out-of-order 0.02 "$work/part-$count.jsonl"
        mv "$work/part-$count.jsonl" "$input"
    fi
fi

measured=
if [ "${ONCEFOLD:-yes}" != no ]; then
    measured=$work/oncefold.jsonl
    : >"$measured"
    for _ in $(seq "$repeat"); do
        (cd "$repo" && .venv/bin/python -m bench --input "$input" --json) >"$work/bench.out"
        tail -n 1 "$work/bench.out" >>"$measured"
    done
fi

exec "$venv/bin/python" "$here/compare.py" "$input" --repeat "$repeat" --out "$out" ${measured:+--measured "$measured"}
