"""The exercises: what is set, and how an answer is judged; no solution stands here."""

from perflab.book.exercises import (
    caching,
    casestudies,
    concurrency,
    database,
    fundamentals,
    loadtesting,
    memory,
    network,
    patterns,
    profiling,
)
from perflab.book.exercises.judging import Exercise, Judgement
from perflab.errors import is_whole, require

CHAPTERS = {
    1: fundamentals.EXERCISES,
    2: profiling.EXERCISES,
    3: database.EXERCISES,
    4: caching.EXERCISES,
    5: memory.EXERCISES,
    6: concurrency.EXERCISES,
    7: network.EXERCISES,
    8: loadtesting.EXERCISES,
    9: patterns.EXERCISES,
    10: casestudies.EXERCISES,
}

__all__ = ["Exercise", "Judgement", "exercise", "titles"]


def exercise(chapter: int, number: int) -> Exercise:
    """The exercise of that number; ValueError where the chapter has none."""
    known = CHAPTERS.get(chapter, [])
    allowed = f"from 1 to {len(known)}" if known else f"none: chapter {chapter} has no exercises"
    require(is_whole(number) and 1 <= number <= len(known), "exercise", number, allowed)
    return known[number - 1]


def titles(chapter: int) -> list[str]:
    """The titles of a chapter's exercises, in order."""
    return [one.title for one in CHAPTERS.get(chapter, [])]
