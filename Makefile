# The only door. Every target sets up what it needs: Python 3.11 or newer with headers and venv,
# a C compiler and make are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SECONDS ?= 60
export PATH := $(CURDIR)/$(BIN):$(PATH)

SOURCES := $(wildcard $(foreach end,pyx pxd h,src/spreadcore/*.$(end) src/spreadcore/*/*.$(end)))

.PHONY: demo test image soak fuzz lint format bench docs clean

demo: .make/run
	$(BIN)/spreadscan demo --seconds $(SECONDS) $(ARGS)

# bad days are mostly waited for, the long ones first; what looks at time or at two processors alone
# does so alone
LONG := tests/e2e/test_bad_day.py tests/e2e/test_audit_day.py tests/e2e/test_real_size.py
test: .make/dev
	$(BIN)/pytest -n 2 --dist loadfile --ignore=tests/e2e --ignore=tests/stress \
		--ignore=tests/cases tests $(ARGS)
	$(BIN)/pytest -n 4 --dist worksteal $(LONG) tests/cases $(ARGS)
	$(BIN)/pytest $(LONG:%=--ignore=%) tests/e2e tests/stress $(ARGS)

# what the suite does for seconds, for minutes
soak: .make/dev
	$(BIN)/pytest tests -m soak $(ARGS)

# a million mutants at least, and for SECONDS; keeps what it finds in .fuzz/findings
fuzz: .make/dev
	PYTHONPATH=tests $(BIN)/python -m fuzz.run --seconds $(SECONDS) $(ARGS)

# the container image, built and tried: minutes. BASE=debian:bookworm-slim takes that from its
# registry; without, a base is made of Debian's packages
IMAGE ?= localhost/spreadscan
image: .make/dev
	deploy/make-image $(IMAGE) $(BASE)
	IMAGE=$(IMAGE) $(BIN)/pytest tests/deploy -m image $(ARGS)

lint: .make/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/cython-lint src tests benches

format: .make/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .make/dev
	$(BIN)/pytest benches $(ARGS)

# docs/layout.md, from the layout of the compiled library
docs: .make/dev
	$(BIN)/python docs/make_layout.py

clean:
	rm -rf $(VENV) .make .fuzz build demo src/*.egg-info
	find src/spreadcore -name '*.so' -delete

.make/venv: pyproject.toml
	@echo "setting up $(VENV)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check 'pip>=25.1'
	mkdir -p .make && touch $@

# what the program needs to run; two extensions are compiled at a time
.make/run: .make/venv setup.py $(SOURCES)
	$(BIN)/pip install --disable-pip-version-check --group build
	@echo "compiling the extensions: the longest part, about a minute of two processors, once"
	$(BIN)/python setup.py -q build_ext --inplace
	SPREADCORE_BUILT=1 $(BIN)/pip install --disable-pip-version-check --no-build-isolation -e .
	touch $@

# and what tests, benches and checks need beyond that: 800 MB
.make/dev: .make/run
	$(BIN)/pip install -q --disable-pip-version-check --group dev
	touch $@
