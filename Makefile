PYTHON = .venv/bin/python

.PHONY: install test lint format bench

install:
	python -m venv .venv
	$(PYTHON) -m pip install -e ".[tests]"

test:
	$(PYTHON) -m pytest

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

format:
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

bench:
	$(PYTHON) benchmarks/stanford_background.py
