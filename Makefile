# `make help` lists the targets. Everything runs from .venv, which `hack/bootstrap` makes from uv.lock.
.DEFAULT_GOAL := help
RUN := .tools/bin/uv run --no-sync
LOCKED := uv.lock pyproject.toml hack/bootstrap $(wildcard libs/*/pyproject.toml services/*/pyproject.toml cli/pyproject.toml plugins/*/pyproject.toml)

.PHONY: help demo setup check lint types imports unused sizes docs generate images test clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/.demo ## run the quickstart agent on this machine
	@.venv/bin/agentberth run examples/quickstart/agent.yaml --report build/demo.html

setup: .venv/.dev ## all tools and packages for development

check: setup lint types imports unused sizes docs ## lint, types, import rules, unused code, sizes, lock, documentation

generate: setup ## write the generated files anew: CRD, schemas, spec page, golden files
	@$(RUN) python hack/generate/all.py

images: setup ## the five images, each with an archive and an SBOM; BASE=IMAGE for another base
	@hack/images/build $(if $(BASE),--base $(BASE))

docs: setup ## build the documentation in build/docs; a broken link is an error
	@NO_MKDOCS_2_WARNING=1 $(RUN) python -m mkdocs build --strict --quiet

test: ## all tests
	@./run-tests.sh

clean: ## remove what was built and prepared
	rm -rf .venv .tools build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find examples -name .agentberth -type d -prune -exec rm -rf {} +

lint: setup
	@$(RUN) ruff format --check --quiet
	@$(RUN) ruff check --quiet
	@.tools/bin/uv lock --check --quiet

types: setup
	@$(RUN) mypy --no-error-summary libs/*/src services/*/src cli/src plugins/*/src libs/*/tests services/*/tests cli/tests plugins/*/tests hack tests conftest.py

imports: setup
	@$(RUN) lint-imports --no-logo 2>&1 | tail -n 3

unused: setup
	@$(RUN) python hack/check_unused.py

sizes: setup
	@$(RUN) python hack/check_sizes.py

.venv/.demo: $(LOCKED)
	@hack/bootstrap demo
	@touch $@

.venv/.dev: $(LOCKED)
	@hack/bootstrap dev
	@touch .venv/.demo $@
