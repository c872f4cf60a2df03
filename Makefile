# Needs only python3 with venv: the tools are installed into .venv, the output goes to build/. Installation uses
# python -m pip, because uv is one of the installed tools.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCE := {{cookiecutter.project_slug}}
SERVICE_VENV := $(CURDIR)/build/service-venv
PYTHON_FOLDERS := hooks scripts tests benchmarks
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-header --no-annotate

.DEFAULT_GOAL := help
.PHONY: help demo test check check-template check-source e2e bench compare overload try requirements-coverage lock clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-22s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/bake ## bake a service, serve it and send example requests (PORT=8000; ONCE=1 stops afterwards)
	@$(BIN)/python scripts/demo.py

test: $(VENV)/dev ## run every test that needs no container engine (ARGS= goes to pytest)
	@$(BIN)/pytest --ignore=tests/e2e $(ARGS)

check: check-template check-source ## check format, lint and types of the template, and run all checks of the service

check-template: $(VENV)/dev
	$(BIN)/ruff format --check $(PYTHON_FOLDERS)
	$(BIN)/ruff check $(PYTHON_FOLDERS)
	$(BIN)/mypy $(PYTHON_FOLDERS)
	$(BIN)/shellcheck .ci/run $$(find '$(SOURCE)' -name '*.sh' -not -path '*/.venv/*' -not -path '*/build/*')
	$(BIN)/hadolint '$(SOURCE)/Dockerfile'
	$(BIN)/python scripts/lint_workflows.py '$(SOURCE)'/.github/workflows/*

check-source: $(VENV)/bake
	$(BIN)/python scripts/copy_source.py build/source
	$(MAKE) -C build/source check VENV='$(SERVICE_VENV)'

E2E := tests/e2e
e2e: $(VENV)/dev ## test the container stack; needs a Docker engine (E2E= selects a test file)
	@$(BIN)/pytest $(E2E) $(ARGS)

# Two environments: the service with its test servers, which also runs the benchmark, and the peers.
BENCH := build/bench/service
PEERS := build/bench/peers
BENCH_PYTHON ?= $(shell $(PYTHON) benchmarks/interpreter.py)
bench: $(VENV)/bake $(PEERS)/installed ## benchmark the service against its peers; writes build/bench.json (30 min; QUICK=1: 5 min)
	@$(BIN)/python scripts/bake.py $(BENCH)
	@$(MAKE) -s --no-print-directory -C $(BENCH) install VENV=.venv PYTHON='$(BENCH_PYTHON)'
	@PYTHONPATH=$(BENCH) $(BENCH)/.venv/bin/python -m benchmarks --service $(BENCH) --peers $(PEERS) \
	  --plan $(if $(filter-out 0,$(QUICK)),quick,full)

overload: $(VENV)/bake build/bench/python ## print what overload does to the service (5 min; ONLY= selects scenarios)
	@$(BIN)/python scripts/bake.py $(BENCH)
	@$(MAKE) -s --no-print-directory -C $(BENCH) install VENV=.venv PYTHON='$(BENCH_PYTHON)'
	@PYTHONPATH=$(BENCH) $(BENCH)/.venv/bin/python -m benchmarks.overload --service $(BENCH) --only '$(ONLY)'

# The earlier version is baked by its own template.
EARLIER := build/bench/earlier
compare: $(VENV)/bake build/bench/python ## compare the CPU time of requests with an earlier version (REV=v0.1.0; 2 min)
	@rm -rf $(EARLIER) && git clone --quiet --shared . $(EARLIER)/template
	@git -C $(EARLIER)/template checkout --quiet '$(or $(REV),$(error REV is not set: make compare REV=v0.1.0))'
	@$(BIN)/python $(EARLIER)/template/scripts/bake.py $(EARLIER)/service
	@$(BIN)/python scripts/bake.py $(BENCH)
	@$(MAKE) -s --no-print-directory -C $(BENCH) install VENV=.venv PYTHON='$(BENCH_PYTHON)'
	@PYTHONPATH=$(BENCH) $(BENCH)/.venv/bin/python -m benchmarks.versions --service $(BENCH) --earlier $(EARLIER)/service \
	  --plan $(if $(filter-out 0,$(QUICK)),quick,full)

# Both environments are recreated when the Python changes; otherwise the file keeps its timestamp.
build/bench/python: FORCE
	@mkdir -p $(@D)
	@echo '$(BENCH_PYTHON)' | cmp -s - $@ || { rm -rf $(BENCH)/.venv $(PEERS); echo '$(BENCH_PYTHON)' > $@; }
FORCE:

$(PEERS)/installed: benchmarks/requirements.txt build/bench/python
	@echo "Installing the benchmark's peers into $(PEERS) ..."
	@rm -rf $(PEERS)
	@$(BENCH_PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes --requirement $<
	@touch $@

try: $(VENV)/bake ## bake into build/try and keep its virtual environment (ANSWERS="proxy=traefik ci=none")
	@$(BIN)/python scripts/bake.py build/try $(ANSWERS)

requirements-coverage: ## list the tests of each requirement and fault (IDS=files: also their ids without a test)
	@$(PYTHON) scripts/requirements_coverage.py $(IDS)

lock: $(VENV)/dev ## compile requirements*.txt from pyproject.toml, and those of the benchmarks
	$(COMPILE) --upgrade pyproject.toml --output-file requirements.txt
	$(COMPILE) --upgrade pyproject.toml --group dev --constraint requirements.txt --output-file requirements-dev.txt
	$(COMPILE) --upgrade benchmarks/requirements.in --output-file benchmarks/requirements.txt

clean: ## remove .venv and build/
	rm -rf $(VENV) build

# Two stamps: a bake needs only cookiecutter, so the demo does not install the linters. A change in either list creates
# the environment again, so no package of the old list stays in it.
$(VENV)/bake: requirements.txt requirements-dev.txt
	@command -v '$(PYTHON)' >/dev/null || { echo "$(PYTHON) was not found. Install Python 3.11 or newer." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; \
	v >= (3, 11) or sys.exit(f"Python 3.11 or newer is required; $(PYTHON) is {v[0]}.{v[1]}. Choose another: make PYTHON=python3.13 ...")'
	@echo "Creating $(VENV) (once, and again after a change of the requirements) ..."
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet --require-hashes --requirement requirements.txt
	@touch $@

$(VENV)/dev: $(VENV)/bake
	@echo "Installing the development tools (once, and again after a change of the requirements) ..."
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet --require-hashes --requirement requirements-dev.txt
	@touch $@
