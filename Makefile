# The verbs of the day. Each builds .venv first, and builds it again when pyproject.toml or constraints.txt change.
#   make reproduce   the eight notebooks, executed, and results.md          (minutes)
#   make table       the full results table: 10 pairs, 3 seeds; resumes     (hours)
#   make universal   frozen CLIP, TPSNet and UEM under three protocols; resumes   (hours)
#   make zero-shot   every method on unseen classes, CLAIR without its parts; resumes   (hours)
#   make test        every test          make check    style, imports, notebook rules
#   make lab         JupyterLab          make bench    benchmarks/          make assets   images and CLIP anew

PYTHON ?= python3
# An empty one would leave lines that begin with "-", which make takes for an order to ignore errors.
override PYTHON := $(or $(strip $(PYTHON)),python3)
PY := .venv/bin/python
READY := .venv/.complete

.PHONY: reproduce table universal zero-shot test lab check bench assets
.DEFAULT_GOAL := $(READY)
.DELETE_ON_ERROR:

reproduce table universal zero-shot: $(READY)
	@$(PY) -m tpsnet.cli $@

test: $(READY)
	@$(PY) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

lab: $(READY)
	@$(PY) -m jupyterlab $(if $(filter 0,$(shell id -u)),--allow-root) notebooks

check: $(READY)
	@$(PY) -m ruff format --check --quiet .
	@$(PY) -m ruff check --quiet .
	@.venv/bin/lint-imports --no-logo
	@$(PY) -m tools.house_rules

bench: $(READY)
	@failed=; for file in benchmarks/*.py; do name=$$(basename "$$file" .py); echo "== $$name"; \
		$(PY) -m "benchmarks.$$name" || failed="$$failed $$name"; done; \
		[ -z "$$failed" ] || { echo "These failed:$$failed" >&2; exit 1; }

assets: $(READY)
	@$(PY) -m pip install --quiet -c constraints.txt -e '.[assets]'
	@$(PY) -m tools.assets.build_emoji
	@$(PY) -m tools.assets.train_tiny_clip

# The stamp is written last. A build that was interrupted leaves .venv/.building behind and starts afresh.
# pip's long account is cut down to the large downloads; its errors pass untouched.
$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not installed: tpsnet needs Python 3.11 or newer" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$$($(PYTHON) -V) is too old: tpsnet needs 3.11 or newer (make PYTHON=/path/to/python3.12)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) comes without venv: install it first (Debian, Ubuntu: apt-get install python3-venv)" >&2; exit 1; }
	@if [ -e .venv/.building ]; then echo "An earlier build was interrupted: starting afresh"; rm -rf .venv; fi
	@mkdir -p .venv && rm -f $@ && touch .venv/.building
	@echo "Building .venv: PyTorch with its libraries is a few GB, the first time takes some minutes"
	@$(PYTHON) -m venv .venv
	@{ $(PY) -m pip install --progress-bar off -c constraints.txt -e '.[cpu,dev]'; echo $$? >.venv/.status; } | awk \
		'/(Downloading|Using cached) .*[0-9][0-9]\.[0-9]+ MB/ {print "  " $$1, $$2, $$3, $$4; fflush()} \
		/^Installing collected/ {print "  Installing"; fflush()}'; exit $$(cat .venv/.status)
	@rm .venv/.building .venv/.status && touch $@
	@echo "Done: .venv is ready"
