#!/usr/bin/env bash
# The whole suite again and again, to find tests that fail now and then:  bash tools/rounds.sh 20
# A line for each round, and the whole output of those that failed, in the folder rounds/ (never committed).
set -uo pipefail
cd "$(dirname "$0")/.."
mkdir -p rounds
failed=0
for round in $(seq 1 "${1:-20}"); do
    begun=$SECONDS
    make test >rounds/last.log 2>&1 && code=0 || code=$?
    echo "round $round: exit $code after $((SECONDS - begun)) s: $(grep -E '(passed|failed)' rounds/last.log | tail -1)"
    if [ "$code" != 0 ]; then
        failed=$((failed + 1))
        cp rounds/last.log "rounds/failed-$round.log"
    fi
done
echo "$failed rounds failed"
[ "$failed" = 0 ]
