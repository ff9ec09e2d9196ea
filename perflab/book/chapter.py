"""What a notebook talks to: one object for its chapter, which shows, judges and remembers.

A core experiment runs through it in this order: `predict`, run something from `perflab.measure`
or `perflab.systems`, `figure`, `verdict` (Tier A: the same on every machine, compared by CI),
`measured` (Tier B: what the clock said here, with its interval).
"""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

from perflab.book import absent, kept, ledger, overview, plots, scoreboard, show
from perflab.book.claims import claim as claim_of
from perflab.book.exercises import exercise
from perflab.book.exercises.costs import cost_of, with_cost
from perflab.book.predictions import Choice, Interval, Kind, Place
from perflab.book.predictions import number as number_of
from perflab.book.records import Record
from perflab.book.source import source_of
from perflab.book.widgets import Live, ask
from perflab.contracts import checks_of, judge
from perflab.errors import DifferentMachinesError, is_whole, require
from perflab.systems import LoadResult

T = TypeVar("T")

CHAPTERS = 10
SCALES = ("quick", "full")
UNSAID = object()  # a measurement that does not judge
WORDS = {True: "holds", False: "does not hold", None: "inconclusive on this machine"}


class Chapter:
    """One chapter. Its state: the open record, the scale and the questions asked so far.

    `scale` is "quick" (class and CI) or "full" (tighter intervals); without it the environment
    variable PERFLAB_SCALE decides, and without that it is quick.
    """

    def __init__(self, number: int, scale: str | None = None) -> None:
        require(
            is_whole(number) and 1 <= number <= CHAPTERS, "number", number, f"from 1 to {CHAPTERS}"
        )
        scale = scale if scale is not None else os.environ.get("PERFLAB_SCALE") or "quick"
        require(scale in SCALES, "scale", scale, "'quick' or 'full'")
        self.number = number
        self.scale = scale
        self.record = Record()
        self._kinds: dict[str, Kind] = {}
        self._reminded = False
        absent.watch(self)
        show.line(f"{self.record.machine.label} · scale: {scale}")

    def pick(self, quick: T, full: T) -> T:
        """The value for this scale."""
        return quick if self.scale == "quick" else full

    # ── before the run

    def predict(self, claim: str, kind: Kind, mine: Any = None) -> None:
        """Ask the reader for a prediction; `mine` gives it in code instead of in the widget.

        It counts if nothing of this claim was in sight before in this record, no figure, verdict
        or outcome: a later one is drawn and scored too, but apart, as hindsight. ValueError where
        `mine` does not fit the question.
        """
        self._own(claim)
        self._ask(claim, kind, mine)

    def mystery(self, question: str, suspects: Sequence[str], mine: Any = None) -> None:
        """Put the chapter's mystery to the vote; `solved` names the culprit later."""
        several = isinstance(suspects, list | tuple)
        require(several, "suspects", suspects, "a tuple of two or more different texts")
        self._ask(f"{self.number}.mystery", Choice(question, tuple(suspects)), mine)

    def solved(self, culprit: str) -> None:
        """Tell who it was, and score the vote if there was one.

        ValueError if nobody of that name was suspected.
        """
        kind = self._kinds.get(f"{self.number}.mystery")
        suspects = kind.options if isinstance(kind, Choice) else (culprit,)
        known = isinstance(culprit, str) and culprit in suspects
        require(known, "culprit", culprit, "one of the suspects of ch.mystery(…)")
        show.line(f"It was {culprit}.")
        self._score(f"{self.number}.mystery", culprit)

    def prediction(self, claim: str) -> Any:
        """The reader's last prediction for this claim, or None."""
        self._own(claim)
        return self._answer(claim)

    def live(self, name: str) -> Live:
        """A figure that follows a run of this name while it goes on; give it to `watch=`."""
        require(isinstance(name, str) and bool(name), "name", name, "what the run is called")
        return Live(name)

    # ── after the run

    def figure(
        self,
        claim: str,
        title: str,
        x_label: str,
        panels: Sequence[plots.Panel],
        predicted_in: int | None = None,
        predicted_at: Callable[[float], float] = float,
        **more: Any,
    ) -> None:
        """Draw the claim's figure, and the reader's prediction in the panel of that number.

        A range is drawn as a band, a place as a line; `predicted_at` turns what was predicted
        into what the axis shows (say, from times as much). Without a panel's number, and for a
        choice or a ranking, the prediction stands in words below the panels. More keywords
        (`predicted_on`, `events`, `x_log`) go to `plots.draw`. ValueError for what cannot be drawn.
        """
        self._own(claim)
        said = self._said(claim)
        figure = plots.draw(
            title,
            x_label,
            panels,
            prediction=None if predicted_in is None else self._on_axis(claim, predicted_at),
            predicted_in=0 if predicted_in is None else predicted_in,
            said=said,
            **more,
        )
        words = plots.alternative_text(title, x_label, panels)
        words += f" Your prediction: {said}." if said else ""
        picture = plots.png(figure)
        self.record.add("outcomes", claim=claim)
        show.picture(picture, words, claim, [panel.label for panel in panels])

    def contract(self, contract: ModuleType, **implementations: Any) -> None:
        """Run each check of a contract on each implementation and show the table."""
        require(len(implementations) > 0, "implementations", implementations, "at least one")
        found = {name: judge(contract, thing) for name, thing in implementations.items()}
        show.contract_table([one.statement for one in checks_of(contract)], found)

    def verdict(self, claim: str, holds: bool | None, facts: Mapping[str, object]) -> None:
        """Judge a claim by Tier A evidence: print the word and the facts, and remember both.

        `holds` is computed from the evidence; None means that a claim without Tier A evidence
        could not be decided. The facts are the same on every machine. ValueError for a claim of
        another chapter, for no facts, and for None where there is Tier A evidence.
        """
        row = self._own(claim)
        require(_is_word(holds), "holds", holds, "True, False or None")
        decided = holds is not None or "A" not in row.evidence
        require(decided, "holds", holds, "True or False: this claim has Tier A evidence")
        some = isinstance(facts, Mapping) and len(facts) > 0
        some = some and all(isinstance(name, str) for name in facts)
        require(some, "facts", facts, "at least one fact by name")
        word = WORDS[None if holds is None else bool(holds)]
        shown = {name: show.fact(value) for name, value in facts.items()}
        self.record.add("verdicts", claim=claim, word=word, facts=shown)
        self.record.add("outcomes", claim=claim)
        show.verdict(claim, row.text, word, shown)

    def measured(
        self, claim: str, effect: str, holds: bool | object | None = UNSAID, outcome: Any = None
    ) -> None:
        """Say what the clock showed here, beside the verdict; score the reader's prediction.

        `effect` is a sentence with its interval; `holds` the Tier B word (None: inconclusive),
        left out where the clock alone does not judge; `outcome` the result that the prediction
        is scored against.
        """
        self._own(claim)
        said = isinstance(effect, str) and bool(effect.strip())
        require(said, "effect", effect, "a sentence with an interval")
        usable = holds is UNSAID or _is_word(holds)
        require(usable, "holds", holds, "True, False, None or left out")
        if outcome is not None and claim in self._kinds:
            self._kinds[claim].found(outcome)
        word = "" if holds is UNSAID else WORDS[None if holds is None else bool(holds)]
        self.record.add("effects", claim=claim, word=word, effect=effect)
        show.measured(word, effect)
        if outcome is not None:
            self._score(claim, outcome)

    def against_baseline(self, claim: str, name: str, **summary: float) -> None:
        """Compare a run with the last one of this name on this machine, then keep it.

        A run of another machine is never compared: it says so, and this run begins a series of
        its own. ValueError for an empty summary, and for what is no number in it.
        """
        self._own(claim)
        require(isinstance(name, str) and bool(name), "name", name, "what the run is called")
        require(len(summary) > 0, "summary", summary, "at least one named number")
        summary = {key: number_of(value, key) for key, value in summary.items()}
        earlier = None
        try:
            earlier = self.record.baseline(claim, name)
        except DifferentMachinesError as refused:
            show.line(str(refused))
        self.record.add("runs", claim=claim, name=name, summary=summary)
        show.baseline(name, summary, earlier)

    def against_last(self, name: str, result: LoadResult, p: float = 99) -> None:
        """Compare a load run with the last one of this name, request by request, then keep it.

        Both stand whole in my/runs. ValueError as `perflab.book.kept` says.
        """
        show.line(kept.against_last(f"{self.number} {name}", result, p))

    # ── exercises and summing up

    def check(self, number: int, answer: Callable[..., Any]) -> None:
        """Judge the reader's answer to an exercise of this chapter and show why."""
        task = exercise(self.number, number)
        found = task.judge(answer)
        name = f"{self.number}.{number}"
        cost = cost_of(name, found.status, found.measure)
        row = {"status": found.status, "hint": found.hint, "cost": cost and cost.here}
        self.record.add("answers", exercise=name, code=source_of(answer), **row)
        show.checked(task.title, found.status, with_cost(found.hint, cost), found.tried)

    def scoreboard(self) -> None:
        """All claims of the chapter: verdicts, effects here and elsewhere, predictions, answers."""
        lines = scoreboard.lines(self.record, self.number)
        show.scoreboard(lines, scoreboard.answers(self.record, self.number))

    def ledger(self) -> None:
        """The whole book on one page: every claim as on its scoreboard, and how well the
        predictions were calibrated."""
        chapters = {n: scoreboard.lines(self.record, n) for n in range(1, CHAPTERS + 1)}
        overview.ledger(chapters, ledger.calibration(self.record))

    # ── within

    def _own(self, claim: str) -> Any:
        row = claim_of(claim)
        require(row.chapter == self.number, "claim", claim, f"a claim of chapter {self.number}")
        return row

    def _ask(self, claim: str, kind: Kind, mine: Any) -> None:
        usable = isinstance(kind, Kind)
        require(usable, "kind", kind, "an Interval, Place, Choice, Ranking or YesNo")
        self._kinds[claim] = kind
        if mine is not None:
            self._keep_prediction(claim, kind, mine)
        ask(kind, self._answer(claim), lambda answer: self._keep_prediction(claim, kind, answer))

    def _answer(self, claim: str) -> Any:
        """The last answer, if it fits the question as it is asked now."""
        kind = self._kinds.get(claim)
        row = self.record.last("predictions", claim=claim, kind=type(kind).__name__)
        try:
            return kind.read(row["answer"]) if kind and row else None
        except ValueError:
            return None

    def _said(self, claim: str) -> str | None:
        """The last answer in words, or None."""
        kind: Any = self._kinds.get(claim)
        answer = self._answer(claim)
        return kind.say(answer) if answer is not None else None

    def _on_axis(self, claim: str, at: Callable[[float], float]) -> Any:
        """The last answer as a range or place on an axis; None where it has no place there."""
        answer, kind = self._answer(claim), self._kinds.get(claim)
        if answer is None or not isinstance(kind, Interval | Place):
            return None
        ends = sorted(
            float(at(one)) for one in (answer if isinstance(kind, Interval) else (answer,))
        )
        if ends[0] <= 0 or not math.isfinite(ends[-1]):  # a logarithmic axis may not have it
            return None
        return tuple(ends) if isinstance(kind, Interval) else ends[0]

    def _keep_prediction(self, claim: str, kind: Kind, answer: Any) -> None:
        read = kind.read(answer)
        if self._answer(claim) != read:  # a second Run All is no new prediction
            self.record.add("predictions", claim=claim, kind=type(kind).__name__, answer=read)

    def _score(self, claim: str, outcome: Any) -> None:
        kind: Any = self._kinds.get(claim)  # each kind scores and says what it has read itself
        answer = self._answer(claim)
        scored = kind.score(answer, outcome) if answer is not None else None
        self.record.add("outcomes", claim=claim)
        if scored is None:
            if not self._reminded:
                show.line("You made no prediction. With one you learn more; all works without.")
            self._reminded = True
            return
        name = type(kind).__name__
        late = self.record.knew(claim, name)
        row = {"caught": int(scored.caught), "sure": scored.sure, "late": int(late)}
        self.record.add("scores", claim=claim, kind=name, points=scored.points, **row)
        show.score(kind.say(answer), scored.points, scored.caught, scored.sentence, late)


def _is_word(holds: object) -> bool:
    return holds is None or isinstance(holds, bool | np.bool_)
