#!/usr/bin/env bash
# What Lazaret promises, shown on this machine: each line is a figure and what was promised. Needs `make demo`'s binaries.
#
#   benches/promises.sh            all of it, about ten minutes
#   benches/promises.sh copies     one of: copies, thousand, orphan, hogs, idle
set -euo pipefail
cd "$(dirname "$0")/.."
lazaret=$PWD/target/release/lazaret
photo=fixtures/valid/photos/hubble_progressive.jpg
work=$(mktemp -d)
trap 'jobs -p | xargs -r kill 2>/dev/null; rm -rf "$work"' EXIT
TIMEFORMAT='%R s wall, %U s user, %S s system'

# COUNT photos that differ in one comment: the same work, other digests.
photos() {
    mkdir -p "$2"
    for number in $(seq "$1"); do
        { head -c 2 "$photo"; printf '\xff\xfe\x00\x06%04d' "$number"; tail -c +3 "$photo"; } >"$2/$number.jpg"
    done
}

count() { grep -c "$1" "$2" || true; }

copies() {
    echo "== 200 processes, one state folder, one memory bomb: one attempt, 200 verdicts"
    target/release/examples/fixtures --large "$work/large" >/dev/null
    local bomb="$work/large/hostile/memory/webp_huffman_groups.webp" pids=()
    for number in $(seq 200); do
        "$lazaret" convert --json --state "$work/copies" "$bomb" >"$work/verdict.$number" 2>"$work/error.$number" &
        pids+=($!)
    done
    time { wait "${pids[@]}" || true; }
    cat "$work"/verdict.* >"$work/verdicts"
    echo "verdicts: $(count '"reason":"memory"' "$work/verdicts"), errors: $(cat "$work"/error.* | wc -l)"
    local digest
    digest=$(sha256sum "$bomb" | cut -c1-64)
    "$lazaret" quarantine --state "$work/copies" show "$digest" --json >"$work/dossier"
    echo "attempts: $(grep -o '"outcome":"tripped","recipe"' "$work/dossier" | wc -l)," \
        "$(grep -o '"repeats":[0-9]*' "$work/dossier" | head -1)"
}

thousand() {
    echo "== 1,000 good images, and the same again: the second pass starts no child"
    photos 1000 "$work/thousand"
    for pass in first second; do
        time "$lazaret" convert --json --state "$work/thousand-state" "$work"/thousand/*.jpg >"$work/$pass"
        echo "$pass pass: $(count '"status":"converted"' "$work/$pass") converted," \
            "$(count '"cpu_ms":null' "$work/$pass") without a child"
    done
}

orphan() {
    echo "== SIGKILL to the supervisor while a child spins: gone within its timers (CPU 2.25 s)"
    LAZARET_LIMITS_CPU=2s LAZARET_LIMITS_CPU_BASE=2s \
        "$lazaret" convert --state "$work/orphan" fixtures/hostile/cpu/tiff_wide_tiles.tiff >/dev/null 2>&1 &
    local supervisor=$! child
    until child=$(pgrep -P "$supervisor"); do sleep 0.02; done
    sleep 0.3
    kill -9 "$supervisor"
    wait "$supervisor" 2>/dev/null || true
    time { while kill -0 "$child" 2>/dev/null; do sleep 0.02; done; }
}

hogs() {
    echo "== 3,000 good images beside four CPU hogs for each processor: nothing quarantined"
    photos 3000 "$work/hogged"
    local hogs=()
    for _ in $(seq $((4 * $(nproc)))); do
        (while :; do :; done) &
        hogs+=($!)
    done
    time "$lazaret" convert --json --state "$work/hogs-state" "$work"/hogged/*.jpg >"$work/hogged.json" || true
    kill "${hogs[@]}"
    echo "converted: $(count '"status":"converted"' "$work/hogged.json")," \
        "quarantine entries: $("$lazaret" quarantine --state "$work/hogs-state" list --json | wc -l)"
}

idle() {
    echo "== Memory of an idle service: at most 40 MB"
    printf 'broker = "spool:./spool"\nledger = "sqlite:./ledger.sqlite"\n' >"$work/idle.toml"
    mkdir -p "$work/uploads"
    LAZARET_ADMIN=127.0.0.1:0 "$lazaret" serve --config "$work/idle.toml" 2>"$work/idle.log" &
    local service=$!
    until grep -q ready "$work/idle.log"; do sleep 0.1; done
    sleep 10
    grep -E 'VmRSS|VmHWM|RssAnon' "/proc/$service/status"
    kill "$service"
    wait "$service" || true
}

for promise in "${@:-copies thousand orphan hogs idle}"; do
    # Unquoted on purpose: the default is a list.
    for one in $promise; do "$one"; echo; done
done
