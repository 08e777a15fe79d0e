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
    unit | dags)
        .venv/bin/pytest -n auto --cov --cov-append --cov-report= "tests/$tier"
        ;;
    *)
        # These start processes, and some measure time: one test after the other. Coverage of the processes costs little
        # for our own commands, but half as much again for an Airflow.
        processes=''
        [ "$tier" != integration ] || processes=$PWD/pyproject.toml
        COVERAGE_PROCESS_START=$processes .venv/bin/coverage run -m pytest "tests/$tier"
        ;;
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
