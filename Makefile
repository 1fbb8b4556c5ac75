# Every job of the project, one target each; `make` alone lists them.
# Needs Python 3.11 or newer and nothing else: what is missing is put into .venv.

PYTHON ?= python3
# Where to install, and which lock file: the peers of the benchmark and a test name others.
VENV := .venv
LOCKED := requirements.txt
BIN := $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check
LOCK = $(BIN)/uv pip compile --quiet --system-certs --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
PINS = sed -E '/^ *(\#|--hash)/d; s/ *\\$$//'
# What is checked must not depend on the machine: no .env, no secret key made on the way.
CHECK_ENV = SECRET_KEY=for-checks-only DATABASE_URL=sqlite://:memory:
# What breaks for minutes in full size hangs if it takes so long in the short form.
CHAOS_OPTIONS = -n 2 --dist worksteal --no-skips -o faulthandler_timeout=$(if $(filter short,$(CHAOS)),300,1800)

.DEFAULT_GOAL := help
.PHONY: help run install test bench attack chaos check format messages lock clean

help: ## list all targets
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-8s %s\n", $$1, $$2 }'

run: $(VENV)/installed ## install what is missing and start everything at http://127.0.0.1:$PORT/ (ARGS=--no-demo: without demo data)
	@exec $(BIN)/python manage.py dev $(ARGS)

install: $(VENV)/installed ## install what is missing for production, and start nothing

test: $(VENV)/installed-dev ## install what is missing and run all tests on SQLite and PostgreSQL (ARGS="tests/orders -k new": only some)
ifdef ARGS
	@$(BIN)/python -m pytest $(ARGS)
else
	@$(BIN)/python -m tests.machine
	@$(BIN)/coverage erase
	TEST_DATABASE=sqlite $(BIN)/python -m pytest -n 2 --dist worksteal --no-skips --cov --cov-report= --cov-fail-under=0
	$(BIN)/coverage report
	TEST_DATABASE=postgresql $(BIN)/python -m pytest -n 2 --dist worksteal --no-skips --database-only
	@CHAOS=short $(MAKE) --no-print-directory chaos
endif

bench: $(VENV)/installed-dev ## measure speed, beside other engines (ARGS="drain latency": only some; ARGS=--quick: a short try)
	@$(BIN)/python -m tests.bench $(ARGS)

attack: $(VENV)/installed-dev ## attack a running installation, and report what was found
	@$(BIN)/python -m tests.attacks $(ARGS)

chaos: $(VENV)/installed-dev ## break every part on SQLite and PostgreSQL, and count what was lost (ARGS="-k broker": only some)
	@$(BIN)/python -m tests.machine
	@CHAOS=$${CHAOS:-full} TEST_DATABASE=sqlite $(BIN)/python -m pytest $(CHAOS_OPTIONS) tests/chaos $(ARGS)
	@CHAOS=$${CHAOS:-full} TEST_DATABASE=postgresql $(BIN)/python -m pytest $(CHAOS_OPTIONS) tests/chaos $(ARGS)

check: $(VENV)/installed-dev ## check style, types, import rules, migrations and lock files
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(CHECK_ENV) $(BIN)/mypy
	$(CHECK_ENV) $(BIN)/lint-imports --no-logo
	$(CHECK_ENV) $(BIN)/python manage.py makemigrations --check --dry-run
	$(CHECK_ENV) $(BIN)/python manage.py check --fail-level WARNING
	@# The present pins are the preference, so only what pyproject.toml asks for anew makes a difference. Hashes are left
	@# out: a wheel that somebody adds to a pinned version later is no fault of ours.
	@new=$$(mktemp -d) && trap 'rm -rf "$$new"' EXIT && cp requirements.txt requirements-dev.txt "$$new" \
	&& $(LOCK) pyproject.toml -o "$$new/requirements.txt" \
	&& $(LOCK) pyproject.toml --group dev -c requirements.txt -o "$$new/requirements-dev.txt" \
	&& for file in requirements.txt requirements-dev.txt; do \
	  $(PINS) $$file > "$$new/pins" && $(PINS) "$$new/$$file" | diff -u --label $$file "$$new/pins" --label wanted - \
	  || { echo "$$file does not match pyproject.toml. Run 'make lock'." >&2; exit 1; }; done
	@echo "All checks passed."

format: $(VENV)/installed-dev ## format the source
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

messages: $(VENV)/installed-dev ## bring the translations of the portal up to date (config/locale)
	@$(BIN)/python -m tests.messages

lock: $(VENV)/installed-dev ## update the lock files to the newest versions that pyproject.toml allows
	$(LOCK) --upgrade pyproject.toml -o requirements.txt
	$(LOCK) --upgrade pyproject.toml --group dev -c requirements.txt -o requirements-dev.txt

clean: ## remove what was installed and cached; your data in var/ is kept
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache test-results .coverage .coverage.* htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- what the targets stand on -----------------------------------------------
# A lock names every package with its hashes, so no resolver is needed (--no-deps). pip 23, which comes with Python 3.11 and
# 3.12, would find newer versions of packages that others ask for with extras, and refuse them because they have no hash.
# `pip check` then says whether every package has what it asks for.
define install
	@total=$$(grep -c '^[^ #].*==' $<); echo "Installing $$total packages into $(VENV) (once) ..."; \
	{ $(PIP) install --no-deps --require-hashes --progress-bar off -r $< 2>&1 || echo failed; } | awk -v total=$$total ' \
	  /^Collecting|^Requirement already/ && ++count % 10 == 0 { print "  " count " of " total " downloaded" } \
	  /^Installing/ { print "  all downloaded, now unpacking (takes about as long) ..." } \
	  { fflush(); said[NR] = $$0 } \
	  END { if ($$0 != "failed") exit; for (line = NR - 15; line < NR; line++) if (line in said) print said[line]; exit 1 }'
	@$(PIP) check
endef

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	|| { echo "Python 3.11 or newer is needed, but $(PYTHON) is older or missing. Name another one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Creating $(VENV) with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/installed: $(LOCKED) | $(VENV)/bin/python
	$(install)
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt requirements.txt | $(VENV)/bin/python
	$(install)
	@touch $(VENV)/installed $@
