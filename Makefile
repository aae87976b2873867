# Two commands: `make run` (set-up and the whole demo) and `make test`. Both need only Python 3.11
# or newer, git, make and a package index that pip can reach.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run report test test-slow test-pythons faults hacks calibrate check wheel reference bench setup setup-dev setup-slurm vllm-cpu vllm-cpu-setup vllm-cpu-docker lock clean

VENV := .venv
BIN := $(VENV)/bin
# A second environment for Slurm: Snakemake imports every installed executor at each start.
SLURM := .venv-slurm
CORES ?= 4
GPUS ?= 1
PYTHONS ?= python3.11 python3.12 python3.13
# The first Python on the path that is new enough; PYTHON=... names another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

help:
	@echo "make run       set up $(VENV) and run config/config.yaml (the demo), to results/report.md"
	@echo "make report    render the report again, without any benchmark"
	@echo "make test      set up and run the tests, twelve minutes (Docker's need root and dockerd, else they"
	@echo "               are skipped)"
	@echo "make test-slow the same with the tests through Slurm, which need root and Slurm, and all"
	@echo "               repetitions (an hour and a half)"
	@echo "make test-pythons  the unit tests on $(PYTHONS), those that are installed"
	@echo "make setup-slurm  $(SLURM)/bin/snakemake, with its Slurm executor (docs/slurm.md)"
	@echo "make faults    break the demo on purpose, 119 ways at 3 moments each (four hours, root, dockerd);"
	@echo "               make faults ONE=NAME SEED=N repeats one case, LIST=1 names them all"
	@echo "make hacks     measure patches that cheat and honest ones (half an hour), to docs/hostile.md;"
	@echo "               make hacks ONLY=NAME,NAME measures some of them"
	@echo "make calibrate measure patches of known effect (40 minutes, on a quiet machine): how often"
	@echo "               verdicts are right here, to results/calibrate/calibration.md"
	@echo "make check     ruff, mypy, lint-imports, snakefmt and snakemake --lint"
	@echo "make wheel     build the package into dist/"
	@echo "make reference write the tables of keys in config/README.md anew, from the code"
	@echo "make bench     measure the pipeline's own speed (ten minutes, on a quiet machine), to benchmarks/RESULTS.md"
	@echo "make vllm-cpu  set up real vLLM for CPU (5 GB) and measure it, to results/vllm-cpu/report.md"
	@echo "make vllm-cpu-docker  the same in containers (5 GB more, a Docker engine)"
	@echo "make lock      resolve the lock files anew (needs uv)"

run: setup
	$(BIN)/snakemake --cores $(CORES) --resources gpu=$(GPUS)
	@echo "The report: results/report.md"

report: setup
	$(BIN)/snakemake report --cores 1

# Two test files at a time, the longest first.
test: setup-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

test-slow: export PATCHBENCH_SLOW := 1
test-slow: setup-slurm test

# Results may differ between versions of Python: each has an environment of its own.
test-pythons:
	@found=0; for p in $(PYTHONS); do \
	  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  found=1; echo "unit tests on $$($$p --version)"; \
	  v=.venv-$$(basename $$p); $(MAKE) --no-print-directory setup-dev VENV=$$v PYTHON=$$p && \
	  $$v/bin/python -m pytest tests/unit -q -n 2 --dist loadfile $(PYTEST_ARGS) || exit 1; \
	done; [ $$found = 1 ] || echo "patchbench: none of $(PYTHONS) is installed"

faults: setup-dev
	$(BIN)/python -m tests.faults $(if $(ONE),--one $(ONE) --again) $(if $(SEED),--seed $(SEED)) \
	  $(if $(TIMES),--times $(TIMES)) $(if $(LIST),--list)

hacks: setup
	$(BIN)/python benchmarks/hacks.py --write docs/hostile.md $(if $(ONLY),--only $(ONLY))

calibrate: setup
	$(BIN)/snakemake --cores $(CORES) --resources gpu=1 --configfile config/calibrate.yaml
	$(BIN)/python benchmarks/calibrate.py results/calibrate --write results/calibrate

check: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/snakefmt --check Snakefile rules workflow/Snakefile
	$(BIN)/snakemake --lint

# Left-overs in build/ would go into the wheel.
wheel: setup
	rm -rf build dist
	$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .
	rm -rf build

reference: setup
	$(BIN)/python -m patchbench.plan.reference

bench: setup
	$(BIN)/python benchmarks/pipeline.py --write benchmarks/RESULTS.md $(BENCH_ARGS)

vllm-cpu-setup: setup
	bash examples/vllm_cpu/setup.sh .venv-vllm-cpu
	$(BIN)/python examples/vllm_cpu/make_subject.py --out .patchbench/vllm-cpu \
	  --site .venv-vllm-cpu/lib/python3.11/site-packages
	.venv-vllm-cpu/bin/python examples/vllm_cpu/make_model.py --out .patchbench/vllm-cpu/model

vllm-cpu-docker: vllm-cpu-setup
	$(BIN)/snakemake --cores $(CORES) --resources gpu=1 --configfile config/vllm-cpu.yaml \
	  --config runtime=docker results=results/vllm-cpu-docker
	@echo "The report: results/vllm-cpu-docker/report.md"

vllm-cpu: vllm-cpu-setup
	$(BIN)/snakemake --cores $(CORES) --resources gpu=1 --configfile config/vllm-cpu.yaml
	@echo "The report: results/vllm-cpu/report.md"

setup: $(VENV)/.ready
setup-dev: $(VENV)/.ready-dev
setup-slurm: $(SLURM)/.ready

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "patchbench: no Python 3.11 or newer found; name one: make PYTHON=/path/to/python3"; exit 2; }
	@echo "setting up $(VENV) with $$($(PYTHON) --version) (about a minute)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "patchbench: $(PYTHON) -m venv failed; on Debian: apt-get install python3-venv"; exit 2; }

$(VENV)/.ready: requirements.lock pyproject.toml | $(VENV)/bin/python
	@$(PIP) --require-hashes --requirement requirements.lock
	@$(PIP) --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/.ready-dev: requirements-dev.lock $(VENV)/.ready
	@$(PIP) --require-hashes --requirement requirements-dev.lock
	@touch $@

# On top of $(VENV): its packages, two more, and a snakemake of its own.
$(SLURM)/.ready: requirements-slurm.lock $(VENV)/.ready
	@rm -rf $(SLURM)
	@$(BIN)/python -m venv $(SLURM)
	@echo "import site; site.addsitedir('$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')')" \
	  > "$$($(SLURM)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/below.pth"
	@$(SLURM)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
	  --requirement requirements-slurm.lock
	@{ echo '#!$(CURDIR)/$(SLURM)/bin/python'; tail -n +2 $(BIN)/snakemake; } > $(SLURM)/bin/snakemake
	@chmod +x $(SLURM)/bin/snakemake
	@touch $@

lock:
	uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --no-header \
	  --no-annotate --python-version 3.11 pyproject.toml requirements-build.in -o requirements.lock
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
	  --no-annotate --python-version 3.11 --extra dev -c requirements.lock pyproject.toml \
	  requirements-build.in -o requirements-dev.lock
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
	  --no-annotate --python-version 3.11 --extra slurm -c requirements.lock pyproject.toml \
	  | awk '/^[a-z]/ {p = /^snakemake-executor-plugin-slurm/} p' > requirements-slurm.lock

clean:
	rm -rf .patchbench .snakemake
