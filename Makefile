# Two commands from a fresh clone:  make demo  and  make test.
# Everything stays in .venv and in private namespaces; nothing on the machine changes except by `make install`.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
JOBS ?= 2
PREFIX ?= /usr
DESTDIR ?=

.PHONY: help demo test check docs-tables bench install uninstall environment environment-dev

help:
	@echo "make demo        a tunnel that roams, on a network of its own (TUI=1 in the terminal UI, KEEP=dir keeps records)"
	@echo "make test        all tests (PEER=bookworm|trixie for one strongSwan; JOBS=N at once; ARGS=... for pytest); root runs them all"
	@echo "make check       types, lint and format"
	@echo "make docs-tables  tables in docs/ from what tests show against real peers (root)"
	@echo "make bench       side-by-side figures with strongSwan, and what the control socket costs (root; PEER=..., ARGS=--runs N)"
	@echo "make install     put Roam on this machine (root; PREFIX=/usr DESTDIR=)"
	@echo "make uninstall   take it off again"

environment:
	@$(PYTHON) packaging/dev/environment.py $(VENV)

environment-dev:
	@$(PYTHON) packaging/dev/environment.py --dev $(VENV)

demo: environment
	@$(BIN)/roam demo $(if $(TUI),--tui) $(if $(KEEP),--keep "$(KEEP)")

test: environment-dev
	@$(BIN)/pytest -n $(JOBS) --dist loadgroup $(if $(PEER),--peer $(PEER)) $(ARGS)

check: environment-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

docs-tables: environment-dev
	@$(BIN)/pytest tests/netns --record-logins .venv/logins.json -k login $(ARGS)
	@$(BIN)/python packaging/dev/login_table.py .venv/logins.json

bench: environment-dev
	@$(BIN)/python -m tests.netns.bench $(if $(PEER),--peer $(PEER)) $(ARGS)
	@$(BIN)/python packaging/dev/bench_control.py

install:
	@$(PYTHON) packaging/install.py install --prefix "$(PREFIX)" --destdir "$(DESTDIR)"

uninstall:
	@$(PYTHON) packaging/install.py uninstall --prefix "$(PREFIX)" --destdir "$(DESTDIR)"
