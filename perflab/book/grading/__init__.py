"""Grading a class: every student's answers, judged by the grader's own copy of the checks.

What a submission says of itself counts for nothing: the answer's code is taken out of the notebook
(`answers`, `screen`) and judged in a process of its own (`judged`, a fork of the `nursery`), of
which `limits` says what it is kept from, and what only a container keeps it from.
"""
