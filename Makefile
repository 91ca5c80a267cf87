# `make demo` and `make test` work in a new clone: they set up .venv, Java and the language model.

SHELL := /bin/bash
# The first that answers with a usable version: a pyenv shim may be on the PATH and refuse to run.
PYTHON ?= $(shell for python in python3.12 python3.11 python3 python; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null && { echo $$python; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
# Everything runs inside the virtual environment, spark-submit's Python workers too.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYSPARK_PYTHON := $(CURDIR)/$(BIN)/python
# A small run is mostly the JVM compiling itself: without its optimising compiler it takes half the time.
export SPARK_SUBMIT_OPTS ?= -XX:TieredStopAtLevel=1 -XX:+UseSerialGC
# Without a log4j2.properties of its own Spark tells every warning before a job can say otherwise.
export SPARK_CONF_DIR ?= $(CURDIR)/.ci/spark
# The sample crawl, unless INPUT names archives: make demo INPUT='crawl/*.warc.gz'
INPUT ?=
OUT ?= out/demo

# The peers that the benches measure against, each in an environment of its own.
PEERS ?= .peers

.PHONY: help setup test lint types demo clean peers

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.done  ## virtual environment, Java check, language model

# Without a GPU, torch comes from PyTorch's CPU index where that answers: the registry's own
# build brings gigabytes of CUDA packages.
TORCH_INDEX = $(shell command -v nvidia-smi >/dev/null || ! curl -sfIm 5 -o /dev/null https://download.pytorch.org/whl/cpu/torch/ || echo --extra-index-url https://download.pytorch.org/whl/cpu)

$(VENV)/.done: pyproject.toml .ci/constraints.txt .ci/java
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null || { \
	  echo "Python 3.11 or 3.12 is needed (fastText has no wheels beyond); name one: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	.ci/java
	"$(PYTHON)" -m venv $(VENV)
	.ci/install $(VENV)/install.log $(BIN)/python -m pip install --disable-pip-version-check --constraint .ci/constraints.txt $(TORCH_INDEX) --editable '.[refine,train,dev]'
	$(BIN)/werp fetch-models
	@touch $@

test: lint types  ## every check that CI runs
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: $(VENV)/.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.done
	$(BIN)/mypy werp jobs models eval_harness kernels

# datatrove pins trafilatura 1.11, which needs lxml_html_clean; its Gopher filters need spaCy.
peers: $(PEERS)/datatrove/.done $(PEERS)/dclm/.done $(PEERS)/dedup/.done $(PEERS)/lm-eval/.done  ## environments of the tools the benches measure against

$(PEERS)/datatrove/.done:
	"$(PYTHON)" -m venv $(PEERS)/datatrove
	$(PEERS)/datatrove/bin/python -m pip install --quiet --disable-pip-version-check \
	  'datatrove[io,processing]==0.10.1' lxml_html_clean spacy==3.8.18 fasttext-wheel==0.9.2
	$(PEERS)/datatrove/bin/python -c 'from trafilatura import extract; assert "text" in extract("<html><body><article><p>" + "Some text here. " * 30 + "</p></article></body></html>")'
	@touch $@

# What DCLM's filter modules import; the modules come from a clone that the bench names.
$(PEERS)/dclm/.done:
	"$(PYTHON)" -m venv $(PEERS)/dclm
	$(PEERS)/dclm/bin/python -m pip install --quiet --disable-pip-version-check \
	  nltk==3.10.4 uniseg==0.10.1 unidecode==1.4.0 retrie==0.3.1 fasttext-wheel==0.9.2 'numpy<2' \
	  justext==3.0.2 lxml_html_clean beautifulsoup4
	@touch $@

$(PEERS)/dedup/.done:
	"$(PYTHON)" -m venv $(PEERS)/dedup
	$(PEERS)/dedup/bin/python -m pip install --quiet --disable-pip-version-check \
	  rensa==0.5.0 datatrove==0.10.1 datasketch==2.0.0 'xxhash<4' spacy tokenizers regex
	$(PEERS)/dedup/bin/python -c 'import rensa, datasketch, xxhash, datatrove.pipeline.dedup.minhash, datatrove.utils.word_tokenizers'
	@touch $@

$(PEERS)/lm-eval/.done: .ci/constraints.txt
	"$(PYTHON)" -m venv $(PEERS)/lm-eval
	grep -E '^(torch|numpy|tokenizers|safetensors|pyarrow|transformers|pydantic|typer|rich|scipy)==' .ci/constraints.txt > $(PEERS)/lm-eval/pins.txt
	$(PEERS)/lm-eval/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(PEERS)/lm-eval/pins.txt $(TORCH_INDEX) \
	  'lm-eval[hf]==0.4.13' torch transformers pydantic typer rich scipy
	@touch $@

clean:  ## remove the virtual environment and the demo's output
	rm -rf $(VENV) $(PEERS) out

demo: $(VENV)/.done  ## crawl → shards → tokens → tiny model → score; INPUT='x/*.warc.gz' takes real pages
	@set -euo pipefail; crawl='$(INPUT)'; \
	if [ -z "$$crawl" ]; then $(BIN)/python -m werp.sample $(OUT)/sample; crawl=$(OUT)/sample/crawl; fi; \
	echo "== refine: archives to shards"; \
	$(BIN)/spark-submit jobs/refine.py --recipe gopher_only --input $$crawl --output $(OUT)/run --force; \
	echo "== tokenize: shards to tokens"; \
	$(BIN)/werp tokenize --run $(OUT)/run --output $(OUT)/tokens --force; \
	echo "== train: a 4M-parameter decoder for a minute on the CPU"; \
	$(BIN)/python -m models.train --config models/configs/demo.yaml --tokens $(OUT)/tokens --output $(OUT)/model --force; \
	echo "== score: one multiple-choice task"; \
	$(BIN)/python -m eval_harness run --model $(OUT)/model --tasks arc_easy --limit 50 --output $(OUT)/scores.json; \
	echo; printf '%s\n' "Where everything lies:" \
	  "  $(OUT)/run/report.html   what to look at first: funnel, thresholds, samples" \
	  "  $(OUT)/run/run.json      counts, outcomes, content hash, timings, versions" \
	  "  $(OUT)/run/shards/       the kept text, Parquet" \
	  "  $(OUT)/run/ledger/       one row per record: kept, or dropped or failed, and why" \
	  "  $(OUT)/run/documents/    every extracted page, kept or not;  signals/ its measurements" \
	  "  $(OUT)/tokens/           token shards and the tokenizer" \
	  "  $(OUT)/model/            checkpoint, metrics, loss curve (PNG)" \
	  "  $(OUT)/scores.json       the task's accuracy with its standard error"
