#!/bin/sh
# Runs test tiers one after the other, each in a pytest of its own, then judges the coverage of all together.
# A tier that fails does not keep the later ones from running.
set -u
cd "$(dirname "$0")/.."
failed=''
export COVERAGE_FILE="$PWD/.coverage"
.venv/bin/coverage erase
for tier in "$@"; do
    printf '\n=== %s tests\n' "$tier"
    # These tests start processes of their own, which also wait: more at a time than there are cores.
    case $tier in e2e | integration) workers=3 ;; *) workers=auto ;; esac
    .venv/bin/pytest -n $workers --durations=15 --durations-min=1 --cov --cov-append --cov-report= "tests/$tier"
    code=$?
    # 5: no test was collected, e.g. a tier that does not exist yet.
    [ $code -eq 0 ] || [ $code -eq 5 ] || failed="$failed $tier"
done
printf '\n=== coverage\n'
.venv/bin/coverage report --fail-under=90 || failed="$failed coverage"
if [ -n "$failed" ]; then
    printf '\nFailed:%s\n' "$failed"
    exit 1
fi
