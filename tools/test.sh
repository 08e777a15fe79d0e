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
    # Some of these measure time, one after the other; the commands that they start are measured, too.
    integration) COVERAGE_PROCESS_START=$PWD/pyproject.toml .venv/bin/coverage run -m pytest tests/integration ;;
    # Each file has an Airflow of its own, which waits as much as it works. Measuring it would cost half as much again.
    e2e) .venv/bin/pytest -n 2 --dist loadfile --cov --cov-append --cov-report= tests/e2e ;;
    *) .venv/bin/pytest -n auto --dist loadgroup --cov --cov-append --cov-report= "tests/$tier" ;;
    esac
    code=$?
    # 5: no test was collected, e.g. a tier that does not exist yet.
    [ $code -eq 0 ] || [ $code -eq 5 ] || failed="$failed $tier"
done
printf '\n=== coverage\n'
.venv/bin/coverage combine --append --quiet
.venv/bin/coverage report --fail-under=90 || failed="$failed coverage"
if [ -n "$failed" ]; then
    printf '\nFailed:%s\n' "$failed"
    exit 1
fi
