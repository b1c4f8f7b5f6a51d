# Everything runs in an environment of its own, .venv, which is made on first use and brought up to date when
# pyproject.toml or constraints.txt change. `make clean` removes it.
#
#   make demo PYTHON=python3.12      another interpreter, for a new environment
#   make test ARGS="-k distillation" arguments for pytest (or for the command of demo, bench)

VENV := .venv
BIN := $(VENV)/bin

# An environment with an extra is stamped once its installation has succeeded.
BASE := $(VENV)/.installed
TEST := $(VENV)/.installed-test
DEV := $(VENV)/.installed-dev
DOCS := $(VENV)/.installed-docs
NOTEBOOKS := $(VENV)/.installed-notebooks
RECIPE := pyproject.toml constraints.txt scripts/environment.sh

.PHONY: help demo test test-isa lint types docs notebooks bench clean
.NOTPARALLEL: # two installations into one environment would meet

help:
	@echo "make demo       reproduce the digits experiment and write its report (minutes, no download of data)"
	@echo "make test       run the tests"
	@echo "make test-isa   run the numeric tests under several instruction sets and thread counts"
	@echo "make lint       check style and formatting"
	@echo "make types      check types"
	@echo "make docs       build the documentation into site/"
	@echo "make notebooks  write notebooks/*.ipynb from examples/*.py"
	@echo "make bench      measure speed"
	@echo "make clean      remove the environment, caches and built files; runs and data stay"

demo: $(BASE)
	$(BIN)/ganmc reproduce digits $(ARGS)

# One process a core, up to four of a gigabyte each; ARGS="-n 0" has one without more.
# The variable sets the threads of the tests and of the processes that they start.
test: export OMP_NUM_THREADS = 1
test: $(TEST)
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal $(ARGS)

# ISA="sse4 avx2" runs these settings alone; scripts/test_isa.sh lists all of them.
test-isa: $(TEST)
	PYTHON=$(BIN)/python scripts/test_isa.sh $(ISA) -- $(ARGS)

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV)
	$(BIN)/mypy

docs: $(DOCS)
	$(BIN)/mkdocs build --strict

# --update keeps the cells' ids, so that a notebook changes where its example does and nowhere else.
notebooks: $(NOTEBOOKS)
	for example in examples/*.py; do \
	    $(BIN)/jupytext --quiet --update --to ipynb --output "notebooks/$$(basename "$$example" .py).ipynb" "$$example" \
	        || exit 1; \
	done

bench: $(BASE)
	$(BIN)/python -m benchmarks $(ARGS)

clean:
	rm -rf $(VENV) build dist site .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

$(BASE): $(RECIPE)
	scripts/environment.sh $(VENV)
	@touch $@

$(VENV)/.installed-%: $(RECIPE)
	scripts/environment.sh $(VENV) $*
	@touch $@
