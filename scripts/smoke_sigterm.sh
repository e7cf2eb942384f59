#!/usr/bin/env bash
# Stops real runs by SIGTERM and demands a perf JSON, or a stub, of each.
#
#   scripts/smoke_sigterm.sh [N]            N runs (default 10), from anywhere
#   COORDINATOR=path scripts/smoke_sigterm.sh   with this coordinator instead of a new one
#
# For each run it prints the time from the signal to the file. It exits 0 only
# if all N are right. Needs bash 5, coreutils and go.
set -euo pipefail

runs=${1:-10}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
dir=$(mktemp -d)
pid=
finish() {
  if [ -n "$pid" ]; then kill -KILL "$pid" 2>/dev/null || true; fi
  rm -rf "$dir"
}
trap finish EXIT

coordinator=${COORDINATOR:-}
if [ -z "$coordinator" ]; then
  coordinator=$dir/coordinator
  go build -o "$coordinator" ./cmd/coordinator
fi
go build -o "$dir/perfcheck" ./test/check/perfcheck

now_ms() { local t=${EPOCHREALTIME/./}; echo $((t / 1000)); }

# until_ms LIMIT CONDITION…: waits until the condition holds, at most LIMIT ms,
# or until the run has ended.
until_ms() {
  local limit=$(($(now_ms) + $1))
  shift
  until "$@"; do
    if [ "$(now_ms)" -gt "$limit" ] || ! kill -0 "$pid" 2>/dev/null; then
      "$@" # once more: it may have come true and the run ended
      return
    fi
    sleep 0.01
  done
}
bars_move() { grep -q 'msg=progress .*bars_done=[1-9]' "$dir/$id.err"; }
file_there() { [ -e "$out/perf_$id.json" ] || [ -e "$out/perf_${id}_FAILED_EXPORT.json" ]; }

# one runs the smoke test once and prints what was wrong.
one() {
  id=smoke_$$_$1
  out=$dir/$id
  "$coordinator" run --policy examples/policies/gated.yaml --data synthetic:70000 --run-id "$id" \
    --output-dir "$out" --workers 2 --chunks 8 >"$dir/$id.out" 2>"$dir/$id.err" &
  pid=$!
  if ! until_ms 30000 bars_move; then
    echo "no bars moved within 30 s:"
    cat "$dir/$id.err"
    return 1
  fi
  local begun took code=0
  begun=$(now_ms)
  kill -TERM "$pid"
  if ! until_ms 10000 file_there; then
    echo "there is neither a perf JSON nor a stub"
    return 1
  fi
  took=$(($(now_ms) - begun))
  wait "$pid" || code=$?
  pid=
  if [ -e "$out/perf_${id}_FAILED_EXPORT.json" ]; then
    if [ "$code" -ne 2 ] || ! grep -q '"status": *"export_failed"' "$out/perf_${id}_FAILED_EXPORT.json" ||
      ! grep -q '"chunks_statuses"' "$out/perf_${id}_FAILED_EXPORT.json"; then
      echo "the stub is not whole, or the exit code is $code (expected 2)"
      return 1
    fi
    echo "$took ms, a stub: $(grep '"export_error"' "$out/perf_${id}_FAILED_EXPORT.json")"
    return 0
  fi
  if [ "$code" -ne 0 ]; then
    echo "the exit code is $code (expected 0)"
    cat "$dir/$id.err"
    return 1
  fi
  local said
  if ! said=$("$dir/perfcheck" --run-id "$id" --bars 70000 --expect-stop sigterm --expect-outcome stopped "$out/perf_$id.json"); then
    echo "the perf JSON is wrong:"
    echo "$said"
    return 1
  fi
  if [[ $said == *" replayed=0 "* ]]; then
    echo "no bar is covered, and bars were moving: $said"
    return 1
  fi
  echo "$took ms from signal to file; $said"
}

good=0
for ((n = 1; n <= runs; n++)); do
  printf '%2d of %d: ' "$n" "$runs"
  if one "$n"; then
    good=$((good + 1))
  fi
  if [ -n "$pid" ]; then
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    pid=
  fi
done
echo "smoke test: $good of $runs right"
[ "$good" -eq "$runs" ]
