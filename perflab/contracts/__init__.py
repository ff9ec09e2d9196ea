"""What must hold: one module of named checks for each thing that the book puts to the test."""

from perflab.contracts.core import Check, Evidence, check, checks_of, judge

__all__ = ["Check", "Evidence", "check", "checks_of", "judge"]
