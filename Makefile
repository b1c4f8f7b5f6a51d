# All targets use the environment .venv, created on first use and updated when pyproject.toml or constraints.txt change.
# `make clean` removes it.
#
#   make demo PYTHON=python3.12      interpreter of a new environment
#   make test ARGS="-k distillation" arguments of pytest (or of the command of demo or bench)

VENV := .venv
BIN := $(VENV)/bin

# Stamp files, touched after a successful installation of an extra.
BASE := $(VENV)/.installed
TEST := $(VENV)/.installed-test
DEV := $(VENV)/.installed-dev
DOCS := $(VENV)/.installed-docs
NOTEBOOKS := $(VENV)/.installed-notebooks
RECIPE := pyproject.toml constraints.txt scripts/environment.sh

.PHONY: help demo test test-slow test-isa lint types docs notebooks bench clean
.NOTPARALLEL: # parallel installations into one environment would conflict

help:
	@echo "make demo       run the digits experiment and write its report (minutes, no data download)"
	@echo "make test       run the tests"
	@echo "make test-slow  run the campaigns of docs/reliability.md (hours)"
	@echo "make test-isa   run the numeric tests under several instruction sets and thread counts"
	@echo "make lint       check style and formatting"
	@echo "make types      check types"
	@echo "make docs       build the documentation into site/"
	@echo "make notebooks  write notebooks/*.ipynb from examples/*.py"
	@echo "make bench      measure speed"
	@echo "make clean      remove the environment, caches and built files; keep runs and data"

demo: $(BASE)
	$(BIN)/ganmc reproduce digits $(ARGS)

# One process per core, at most four, because each needs a gigabyte; ARGS="-n 0" uses one process.
# OMP_NUM_THREADS also applies to the processes that tests start.
test: export OMP_NUM_THREADS = 1
test: $(TEST)
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal $(ARGS)

# ARGS="--cases 60 -k kills" selects the number of cases and the campaign.
test-slow: export OMP_NUM_THREADS = 1
test-slow: $(TEST)
	$(BIN)/python -m pytest tests/reliability -m slow --figures docs/reliability $(ARGS)

# ISA="sse4 avx2" selects settings; scripts/test_isa.sh lists all.
test-isa: $(TEST)
	PYTHON=$(BIN)/python scripts/test_isa.sh $(ISA) -- $(ARGS)

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV)
	$(BIN)/mypy

docs: $(DOCS)
	$(BIN)/mkdocs build --strict

# --update keeps cell ids, so that only changed cells appear in a diff.
notebooks: $(NOTEBOOKS)
	for example in examples/*.py; do \
	    $(BIN)/jupytext --quiet --update --to ipynb --output "notebooks/$$(basename "$$example" .py).ipynb" "$$example" \
	        || exit 1; \
	done

bench: $(BASE)
	$(BIN)/python -m benchmarks $(ARGS)

clean:
	rm -rf $(VENV) build dist site .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

$(BASE): $(RECIPE)
	scripts/environment.sh $(VENV)
	@touch $@

$(VENV)/.installed-%: $(RECIPE)
	scripts/environment.sh $(VENV) $*
	@touch $@
