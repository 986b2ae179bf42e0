# Every target works on a fresh machine with git, make and Python 3.11 or later; `make` lists them.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
FOR    ?= 60

BIN         := .venv/bin
PY          := $(BIN)/python -P
TUNNELFLEET := $(BIN)/tunnelfleet

# Lists the shell scripts of the tree, each ended by a zero byte.
SHELL_SCRIPTS := grep -rlI --null -E '^\#!/(usr/)?bin/(env )?(ba)?sh' \
  --exclude-dir=.git --exclude-dir=.venv --exclude-dir=.cache --exclude='*.md' --exclude='*.py' .

# Targets of one folder stand in that folder.
-include images/image.mk
-include tests/lab/lab.mk

##@ Every day

.PHONY: check
check: setup ## Generate, render and check every cluster, and print a table (the main job)
	@$(TUNNELFLEET) check

.PHONY: test
test: lint ## Lint, check types, and run the tests that need no root
	@$(BIN)/pytest $(ARGS)

.PHONY: generate
generate: setup ## Write overlays/ and the Flux objects from clusters/*/cluster.yaml
	@$(TUNNELFLEET) generate

.PHONY: format
format: setup ## Format the Python code, and mend what ruff can mend
	@$(BIN)/ruff check --quiet --fix-only
	@$(BIN)/ruff format

##@ Parts of make test

.PHONY: lint
lint: setup ## Check style, types and shell scripts, and that generated schemas and docs are fresh
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --quiet --check
	@$(BIN)/mypy --no-error-summary
	@PATH="$(BIN):$$PATH"; if command -v shellcheck >/dev/null; \
	then $(SHELL_SCRIPTS) | xargs -0 shellcheck; \
	else echo "SKIPPED: shell scripts are not checked, because shellcheck is not installed" >&2; fi
	@$(TUNNELFLEET) reference --check

.PHONY: reference
reference: setup ## Write schemas/cluster.schema.json and the generated pages of docs/
	@$(TUNNELFLEET) reference

.PHONY: vendor-schemas
vendor-schemas: setup ## Write the schemas of Kubernetes, Flux and Cilium again (needs network, go and npm)
	@$(PY) -m tunnelfleet.manifests.vendor

##@ Measure

.PHONY: fuzz
fuzz: setup ## Throw random inventories at the checks for FOR=60 seconds
	@$(PY) tests/fuzz/fuzz.py --seconds $(FOR)

.PHONY: bench
bench: setup ## Measure fleets of 1, 100 and 1,000 clusters against bare kustomize
	@$(PY) tests/bench/bench.py

##@ The checkout

.PHONY: setup
setup: ## Make .venv from requirements.lock, and find or fetch kustomize
	@$(PYTHON) scripts/bootstrap.py

.PHONY: hooks
hooks: ## Run make pre-commit before each commit of this checkout
	@hook="$$(git rev-parse --git-path hooks/pre-commit)"; \
	if [ -e "$$hook" ] && ! grep -q 'make pre-commit' "$$hook"; \
	then echo "$$hook is another hook: remove it, or add \`make pre-commit\` to it" >&2; exit 1; fi; \
	mkdir -p "$$(dirname "$$hook")" && printf '#!/bin/sh\nexec make pre-commit\n' > "$$hook" && chmod +x "$$hook"; \
	echo "installed $$hook"

.PHONY: pre-commit
pre-commit: lint ## The quick checks: make lint, and the clusters that differ from HEAD
	@$(TUNNELFLEET) check --changed-since HEAD

.PHONY: lock
lock: ## Resolve requirements.lock again (needs uv; UPGRADE=1 takes newer releases)
	uv pip compile pyproject.toml --group dev --output-file requirements.lock --quiet \
	  --universal --python-version 3.11 --no-build --generate-hashes $(if $(UPGRADE),--upgrade) \
	  --no-header --no-annotate --no-emit-index-url --no-emit-find-links

.PHONY: clean
clean: ## Remove .venv and everything else that make wrote
	rm -rf .venv .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find scripts tests base -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help:
	@awk 'BEGIN { FS = ":.*## " }; \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) }; \
	  /^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
