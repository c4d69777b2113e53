PYTHON = .venv/bin/python

.PHONY: install test coverage lint format docs bench

install:
	python -m venv .venv
	$(PYTHON) -m pip install -e ".[docs,tests]"

test:
	$(PYTHON) -m pytest

coverage:
	$(PYTHON) -m pytest -n 2 --cov

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

format:
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

docs:
	$(PYTHON) -m sphinx -W --keep-going docs docs/_build/html

bench:
	$(PYTHON) benchmarks/stanford_background.py
