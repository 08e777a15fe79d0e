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
    case $tier in
    # Each file starts processes of its own, which also wait: more at a time than there are cores.
    e2e) .venv/bin/pytest -n 3 --dist loadgroup --cov --cov-append --cov-report= "tests/$tier" ;;
    integration) .venv/bin/pytest -n 2 --dist loadfile --cov --cov-append --cov-report= "tests/$tier" ;;
    *) .venv/bin/pytest -n auto --dist loadgroup --cov --cov-append --cov-report= "tests/$tier" ;;
    esac
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
