# make train   trains on digits with wrong labels; other flags: make train FLAGS="--help"
# make test    runs all tests
# make lint    checks style
# Each makes the virtual environment it needs, and installs again when setup.py has changed.

PYTHON ?= python3
VENV ?= .venv
FLAGS ?= --compare=vanilla

.PHONY: train test lint format

train: $(VENV)/installed-cpu
	$(VENV)/bin/python -m mentormix_tf.train $(FLAGS)

test: $(VENV)/installed-test
	$(VENV)/bin/python -m pytest

lint: $(VENV)/installed-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

format: $(VENV)/installed-test
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

$(VENV)/installed-%: setup.py
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade pip
	$(VENV)/bin/python -m pip install --quiet --editable '.[$*]'
	touch $@
