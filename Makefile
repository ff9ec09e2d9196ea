# Each target is one line of make.py, which does the same on machines without make.
# Choose another Python with PYTHON=python3.13, chapters with CHAPTERS="1 3",
# patterns with PARTS="breaker bulkhead", a folder for pictures of the browser with SHOTS=FOLDER.
PYTHON ?= python3
CHAPTERS ?=
PARTS ?=
SHOTS ?=

.PHONY: help lab test run notebooks doctor stress browser bench lock

help:       ; @$(PYTHON) make.py help
lab:        ; @$(PYTHON) make.py lab
test:       ; @$(PYTHON) make.py test
run:        ; @$(PYTHON) make.py run $(CHAPTERS)
notebooks:  ; @$(PYTHON) make.py notebooks $(CHAPTERS)
doctor:     ; @$(PYTHON) make.py doctor
stress:     ; @$(PYTHON) make.py stress $(PARTS)
browser:    ; @$(PYTHON) make.py browser $(if $(SHOTS),--shots $(SHOTS))
bench:      ; @$(PYTHON) make.py bench $(PARTS)
lock:       ; @$(PYTHON) make.py lock
