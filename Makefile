# The commands of this project; `make help` lists them. Needs Python 3.11+ and make, nothing else.

# The first Python here that is new enough and really runs.
PYTHON ?= $(shell for each in python3 python3.13 python3.12 python3.11; do \
	$$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$each && break; done)
VENV := .venv
BIN := $(VENV)/bin
export COUNTERSIGN_PORT ?= 8000

.PHONY: help run test prove check bench screenshots clean

help: ## list the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# The lock is installed with its hashes; the SDK that lives here is built without fetching anything more.
$(VENV)/.server: requirements/server.lock sdk/pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing what the server needs …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/server.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable sdk
	@touch $@

$(VENV)/.dev: $(VENV)/.server requirements/dev.lock
	@echo "Installing what the checks and tests need …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.lock
	@touch $@

# Published clients that the tests run beside ours: two flagd providers that cannot share an environment, and
# those of the npm registry where the machine has npm.
$(VENV)/.clients: requirements/flagd-0.5.lock requirements/flagd-0.6.lock tests/clients/package-lock.json $(VENV)/.dev
	@echo "Installing the published clients that the tests use …"
	@for each in flagd-0.5 flagd-0.6; do \
		$(BIN)/python -m venv $(VENV)/$$each && $(VENV)/$$each/bin/pip install --quiet --disable-pip-version-check \
			--require-hashes --requirement requirements/$$each.lock || exit 1; done
	@! command -v npm >/dev/null || npm ci --silent --prefix tests/clients
	@touch $@

# What `make bench` measures against has an environment of its own: its dependencies are not ours.
$(VENV)/.bench: requirements/bench.lock $(VENV)/.server
	@echo "Installing what the benchmarks measure against …"
	@$(BIN)/python -m venv $(VENV)/bench
	@$(VENV)/bench/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/bench.lock
	@$(VENV)/bench/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable sdk
	@touch $@

run: $(VENV)/.server ## install, migrate, make demo data, serve http://localhost:8000
	@$(BIN)/python manage.py start_demo

check: $(VENV)/.dev ## lint, types, import contracts, missing migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/djlint templates --check --lint --quiet
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check --fail-level WARNING
	$(BIN)/python manage.py spectacular --fail-on-warn --validate --file /dev/null

test: $(VENV)/.dev $(VENV)/.clients ## all tests, on SQLite and on a PostgreSQL of their own
	@$(BIN)/python -m tests.run

prove: $(VENV)/.dev $(VENV)/.clients ## the long tests, which take minutes
	@$(BIN)/python -m pytest tests/prove

bench: $(VENV)/.bench $(VENV)/.dev ## measure, side by side
	@for each in benchmarks/*.py; do case $$each in \
		*/ledger_*|*/commit_*) python=$(BIN)/python;; *) python=$(VENV)/bench/bin/python;; esac; $$python $$each || exit 1; done

screenshots: $(VENV)/.dev ## pictures of every page, light and dark, wide and narrow, in var/screenshots
	@$(BIN)/python -m tests.screenshots

clean: ## remove the virtual environment, keep the data
	rm -rf $(VENV) tests/clients/node_modules
