# `make demo` and `make test` each set up everything on a machine with Python 3.11 and make.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
INSTALL := -m pip --disable-pip-version-check install --quiet --no-compile --constraint constraints.txt
# As pip does, but on all cores; what does not compile, such as a template, is left as it is.
COMPILE = @$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
CODE := vggexport calibration gpu_check arm_check tests benchmarks

.PHONY: demo test check docs lint format typecheck gpu-check arm-check clean
.DEFAULT_GOAL := help

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python $(INSTALL) --editable '.[cpu]'
	$(COMPILE)
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python $(INSTALL) --editable '.[cpu,dev]'
	$(COMPILE)
	@touch $(VENV)/.run $@

demo: $(VENV)/.run ## the main job on the embedded default: random weights, synthetic calibration
	$(BIN)/vggexport onnx --quantize --force -o demo_int8.onnx
	$(BIN)/vggexport inspect demo_int8.onnx --require int8

# One thread of NumPy's a worker: with more they wait for each other's cores.
test: $(VENV)/.dev ## every test, the full-size network included
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

check: lint typecheck test ## what CI runs

docs: $(VENV)/.dev ## the command reference, from the commands
	$(BIN)/python -m vggexport.cli.reference > docs/commands.md

lint: $(VENV)/.dev ## style, and the layers of the architecture
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/lint-imports

format: $(VENV)/.dev ## rewrites the code in its style
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

typecheck: $(VENV)/.dev ## strict types
	$(BIN)/mypy

# An environment of its own: onnxruntime and onnxruntime-gpu install the same module.
gpu-check: ## on a machine with a CUDA GPU: everything that needs one
	$(PYTHON) -m venv $(VENV)-gpu
	$(VENV)-gpu/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[gpu]'
	$(VENV)-gpu/bin/python -m gpu_check

arm-check: $(VENV)/.run ## model files on an emulated ARM processor; ARM="--cpu cortex-a53" on another
	$(BIN)/python -m arm_check $(ARM)

clean: ## the environment, caches and what the demo wrote
	rm -rf $(VENV) $(VENV)-gpu .*_cache build *.egg-info demo_int8.onnx demo_int8.onnx.json
