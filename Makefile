# Each target is one line of make.py, which does the same on machines without make.
PYTHON ?= python3
CHAPTERS ?=

.PHONY: lab test notebooks doctor lock

lab:        ; @$(PYTHON) make.py lab
test:       ; @$(PYTHON) make.py test
notebooks:  ; @$(PYTHON) make.py notebooks $(CHAPTERS)
doctor:     ; @$(PYTHON) make.py doctor
lock:       ; @$(PYTHON) make.py lock
