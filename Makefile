# make run: sets up on first use, fills data/raw with the demo if it is empty, puts it under DVC (experiments that run in
#           a copy of the project fetch it from there), runs the graph, says what came out.
# make test: the same set-up, then lint and types, a minute's work of one core, beside the tests (end-to-end ones first: they
#            take longest).
# make test-long: a sweep of ranks and models for real, which takes minutes.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export DVC_NO_ANALYTICS := 1
# Python keeps what it has compiled, whatever the environment says: importing torch and transformers takes half the time then.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run test tests test-long setup lint clean-venv

run: $(READY)
	attune demo corpus --if-empty
	dvc add --quiet data/raw
	dvc repro
	attune summary

test: $(READY)
	$(MAKE) --no-print-directory -j 2 lint tests

tests: $(READY)
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE pytest --numprocesses auto --dist loadfile --no-loadscope-reorder --durations 40 -m "not long"

test-long: $(READY)
	pytest -m long

lint: $(READY)
	ruff check .
	ruff format --check .
	mypy

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --constraint constraints.txt --editable ".[dev]"
	touch $(READY)

clean-venv:
	rm -rf $(VENV)
