# make train   trains on digits with wrong labels; other flags: make train FLAGS="--help"
# make quick   runs the quick ones of the tests, in about a minute
# make test    runs all tests but those marked slow
# make nightly runs those that are marked slow, too
# make stacks  runs a core of the tests on the oldest and the newest supported versions
# make docs    builds the documentation in site/, and fails on a broken link or a missing page
# make notebooks  runs the notebooks, in a few minutes
# make lint    checks style and types; make format repairs the style
# Each makes the virtual environment it needs, and again when pyproject.toml has changed.

PYTHON ?= python3
VENV ?= .venv
FLAGS ?= --compare=vanilla
PYTEST = $(VENV)/bin/python -m pytest --numprocesses=2 --dist=worksteal --durations=8

.PHONY: train quick test nightly stacks docs notebooks lint format

train: $(VENV)/installed-cpu
	$(VENV)/bin/python -m mentormix_tf.train $(FLAGS)

quick: $(VENV)/installed-test
	$(PYTEST) -m "quick and not slow"

test: $(VENV)/installed-test
	$(PYTEST)

nightly: $(VENV)/installed-test
	$(PYTEST) -m "slow or not slow"

stacks: $(VENV)/installed-dev
	$(VENV)/bin/nox

docs: $(VENV)/installed-docs
	$(VENV)/bin/mkdocs build --strict

notebooks: $(VENV)/installed-notebooks
	$(PYTEST) -m "slow or not slow" --numprocesses=0 tests/test_notebooks.py

lint: $(VENV)/installed-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright --pythonpath $(VENV)/bin/python

format: $(VENV)/installed-test
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

$(VENV)/installed-%: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade pip
	$(VENV)/bin/python -m pip install --quiet --editable '.[$*]'
	touch $@
