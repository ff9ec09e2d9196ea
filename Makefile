# Each target is one line of make.py, which does the same on machines without make.
# Choose another Python with PYTHON=python3.13, chapters with CHAPTERS="1 3".
PYTHON ?= python3
CHAPTERS ?=

.PHONY: help lab test run notebooks doctor lock

help:       ; @$(PYTHON) make.py help
lab:        ; @$(PYTHON) make.py lab
test:       ; @$(PYTHON) make.py test
run:        ; @$(PYTHON) make.py run $(CHAPTERS)
notebooks:  ; @$(PYTHON) make.py notebooks $(CHAPTERS)
doctor:     ; @$(PYTHON) make.py doctor
lock:       ; @$(PYTHON) make.py lock
