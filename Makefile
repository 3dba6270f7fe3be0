# make train   trains on digits with wrong labels; other flags: make train FLAGS="--help"
# make test    runs the tests
# make nightly runs those, too, that take long and fail seldom
# make lint    checks style
# Each makes the virtual environment it needs, and installs again when setup.py has changed.

PYTHON ?= python3
VENV ?= .venv
FLAGS ?= --compare=vanilla

.PHONY: train test nightly lint format

train: $(VENV)/installed-cpu
	$(VENV)/bin/python -m mentormix_tf.train $(FLAGS)

test: $(VENV)/installed-test
	$(VENV)/bin/python -m pytest

nightly: $(VENV)/installed-test
	$(VENV)/bin/python -m pytest -m "slow or not slow"

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
