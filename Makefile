# The two commands of the README are `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

# pip would compile one file after the other; some of the libraries' are for other versions of Python.
define install
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "Python 3.11 or newer is needed; name one, such as: make PYTHON=python3.12"; exit 1; }
$(PYTHON) -m venv .venv
$(BIN)/pip install --quiet --disable-pip-version-check --no-compile -e '$(1)'
$(BIN)/python -m compileall -qq --workers 0 .venv/lib || true
endef

.PHONY: demo test lint check benchmark gpu gpu-study clean

demo: .venv/installed
	$(BIN)/lottery demo

test: .venv/installed-dev
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

lint: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint test

benchmark: .venv/installed
	$(BIN)/python benchmarks/lenet.py
	$(BIN)/python benchmarks/conv_cells.py
	$(BIN)/python benchmarks/language.py
	$(BIN)/python benchmarks/search.py

# Where there is a card; from the bare tree, with whatever Python has torch. For example: make gpu-study DATA=data
GPU_JSON ?= results/benchmarks/gpu/gpu.json
gpu:
	$(PYTHON) benchmarks/gpu.py --json $(GPU_JSON)

gpu-study:
	$(PYTHON) benchmarks/gpu_study.py $(addprefix --data-root ,$(DATA))

.venv/installed: pyproject.toml
	$(call install,.)
	@touch $@

.venv/installed-dev: pyproject.toml
	$(call install,.[dev])
	@touch .venv/installed $@

clean:
	rm -rf .venv build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
