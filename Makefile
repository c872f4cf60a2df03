# Starts from python3 with venv and nothing else: what the template's own commands need goes to .venv, what they make to
# build/. python -m pip, not uv: uv is one of the things to be installed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCE := {{cookiecutter.project_slug}}
SERVICE_VENV := $(CURDIR)/build/service-venv
OURS := hooks scripts tests benchmarks
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-header --no-annotate

.DEFAULT_GOAL := help
.PHONY: help demo test check check-template check-source e2e bench try rows lock clean

help: ## lists these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/bake ## bakes a service, serves it and shows a first conversation (PORT=8000; ONCE=1 stops after it)
	@$(BIN)/python scripts/demo.py

test: $(VENV)/dev ## runs every test that needs no container engine (ARGS= goes to pytest)
	@$(BIN)/pytest --ignore=tests/e2e $(ARGS)

check: check-template check-source ## formats, lints and types hooks, scripts, tests and benchmarks, and checks the service's source

check-template: $(VENV)/dev
	$(BIN)/ruff format --check $(OURS)
	$(BIN)/ruff check $(OURS)
	$(BIN)/mypy $(OURS)
	$(BIN)/shellcheck .ci/run $$(find '$(SOURCE)' -name '*.sh' -not -path '*/.venv/*' -not -path '*/build/*')
	$(BIN)/hadolint '$(SOURCE)/Dockerfile'
	$(BIN)/python scripts/lint_workflows.py '$(SOURCE)'/.github/workflows/*

check-source: $(VENV)/bake
	$(BIN)/python scripts/source_copy.py build/source
	$(MAKE) -C build/source check VENV='$(SERVICE_VENV)'

E2E := tests/e2e
e2e: $(VENV)/dev ## runs the container stack; needs a Docker engine (E2E= names a part of it)
	@$(BIN)/pytest $(E2E) $(ARGS)

# Two environments: the service with what its tests start servers from, which the benchmark runs in too, and its peers'.
BENCH := build/bench/service
PEERS := build/bench/peers
bench: $(VENV)/bake $(PEERS)/installed ## measures the service against others and writes build/bench.json (QUICK=1: 5 minutes instead of 30)
	@$(BIN)/python scripts/baking.py $(BENCH)
	@$(MAKE) -s --no-print-directory -C $(BENCH) install VENV=.venv PYTHON='$(PYTHON)'
	@PYTHONPATH=$(BENCH) $(BENCH)/.venv/bin/python -m benchmarks --service $(BENCH) --peers $(PEERS) \
	  --plan $(if $(filter-out 0,$(QUICK)),quick,full)

$(PEERS)/installed: benchmarks/requirements.txt
	@echo "Making $(PEERS), with what the service is measured against ..."
	@rm -rf $(PEERS)
	@$(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes --requirement $<
	@touch $@

try: $(VENV)/bake ## bakes into build/try, keeping its virtual environment (ANSWERS="proxy=traefik ci=none")
	@$(BIN)/python scripts/baking.py build/try $(ANSWERS)

rows: ## lists which tests show which row of the requirements (IDS=file: also the rows that none shows)
	@$(PYTHON) scripts/list_rows.py $(IDS)

lock: $(VENV)/dev ## compiles requirements*.txt anew from pyproject.toml, and those of the benchmarks
	$(COMPILE) --upgrade pyproject.toml --output-file requirements.txt
	$(COMPILE) --upgrade pyproject.toml --group dev --constraint requirements.txt --output-file requirements-dev.txt
	$(COMPILE) --upgrade benchmarks/requirements.in --output-file benchmarks/requirements.txt

clean: ## removes .venv and build/
	rm -rf $(VENV) build

# Two stamps: a bake needs cookiecutter alone, which spares the demo the linters. Either list, when changed, makes the
# environment anew, so nothing of the list before stays in it.
$(VENV)/bake: requirements.txt requirements-dev.txt
	@command -v '$(PYTHON)' >/dev/null || { echo "$(PYTHON) is not there: install Python 3.11 or newer." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; \
	v >= (3, 11) or sys.exit(f"Python 3.11 or newer is needed; $(PYTHON) is {v[0]}.{v[1]}. Name one: make PYTHON=python3.13 ...")'
	@echo "Making $(VENV) (once; again when a list of requirements changes) ..."
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet --require-hashes --requirement requirements.txt
	@touch $@

$(VENV)/dev: $(VENV)/bake
	@echo "Installing the tools of tests and checks (once, likewise) ..."
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet --require-hashes --requirement requirements-dev.txt
	@touch $@
