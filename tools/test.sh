#!/bin/sh
# Runs test tiers one after the other, each in a pytest of its own, then judges the coverage of all together.
# A tier that fails does not keep the later ones from running.
set -u
cd "$(dirname "$0")/.."
failed=''
.venv/bin/coverage erase
for tier in "$@"; do
    printf '\n=== %s tests\n' "$tier"
    .venv/bin/coverage run -m pytest "tests/$tier"
    code=$?
    # 5: no test was collected, e.g. a tier that does not exist yet.
    [ $code -eq 0 ] || [ $code -eq 5 ] || failed="$failed $tier"
done
printf '\n=== coverage\n'
.venv/bin/coverage combine --quiet
.venv/bin/coverage report --fail-under=90 || failed="$failed coverage"
if [ -n "$failed" ]; then
    printf '\nFailed:%s\n' "$failed"
    exit 1
fi
