# Every target sets up what it needs: a project-local uv, Python 3.12 and .venv from the lock. Nothing else is assumed
# of the machine than git, make, a Python 3 and a package registry.

.DEFAULT_GOAL := help
.PHONY: help demo up down test unit dags integration e2e bench soak test-live lint lock runtime dev

BIN := .venv/bin
TIERS := unit dags integration e2e

# With this variable in force every process would compile every import anew.
unexport PYTHONDONTWRITEBYTECODE

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: runtime ## Simulator and Airflow, five sessions end to end; STREAM=1 one that arrives live; DETACH=1 leaves it running
	@$(BIN)/bellwether demo $(if $(STREAM),--stream) $(if $(DETACH),--detach)

up: runtime ## Start a local Airflow that stays up, against the simulator or, with POLYGON_API_KEY set, Polygon
	@$(BIN)/bellwether up

down: ## Stop everything that `make up` and `make demo` started
	@if [ -x $(BIN)/bellwether ]; then $(BIN)/bellwether down; else echo "Nothing is set up, so nothing runs."; fi

test: dev ## Run all tests, tier by tier, with coverage
	@sh tools/test.sh $(TIERS)

unit dags: WORKERS := -n auto --dist loadgroup
integration e2e: WORKERS := -n 2 --dist loadfile
unit: dev ## Run the unit tests alone; ARGS="-k word" goes to pytest, here and in the next three
dags: dev ## Run the tests of DAGs and plugins alone
integration: dev ## Run the tests with sockets and processes alone
e2e: dev ## Run the tests on a real Airflow alone
unit dags integration e2e:
	@$(BIN)/pytest tests/$@ $(WORKERS) $(ARGS)

bench: dev ## Measure what must be fast, as a table; fails when a target is missed
	@$(BIN)/python tools/bench.py

soak: dev ## Kill the pipeline's processes a thousand times, then parts of an Airflow under a stream; count what is lost
	@$(BIN)/python -m tests.soak $(ARGS)
	@$(BIN)/python -m tests.soak.outages

test-live: dev ## Ask the real vendor a handful of questions per dataset; needs POLYGON_API_KEY
	@$(BIN)/python -m tests.live

lint: dev ## Check style, formatting and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

lock: ## Compile requirements*.in into the lock files
	@sh tools/setup.sh lock

runtime dev:
	@sh tools/setup.sh $@
