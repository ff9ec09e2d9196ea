"""What a notebook talks to: one object for its chapter, which shows, judges and remembers.

A core experiment runs through it in this order: `predict`, run something from `perflab.measure`
or `perflab.systems`, `figure`, `verdict` (Tier A: the same on every machine, compared by CI),
`measured` (Tier B: what the clock said here, with its interval).
"""

import os
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, TypeVar

from perflab.book import plots, scoreboard, show
from perflab.book.claims import claim as claim_of
from perflab.book.exercises import exercise
from perflab.book.predictions import Choice, Interval, Kind
from perflab.book.records import Record
from perflab.book.widgets import Live, ask
from perflab.contracts import checks_of, judge
from perflab.errors import require

T = TypeVar("T")

CHAPTERS = 10
SCALES = ("quick", "full")
WORDS = {True: "holds", False: "does not hold", None: "inconclusive on this machine"}


class Chapter:
    """One chapter. Its state: the open record and the scale; all else is on the page.

    `scale` is "quick" (class and CI) or "full" (tighter intervals); without it the environment
    variable PERFLAB_SCALE decides, and without that it is quick.
    """

    def __init__(self, number: int, scale: str | None = None) -> None:
        known = isinstance(number, int) and not isinstance(number, bool)
        require(known and 1 <= number <= CHAPTERS, "number", number, f"from 1 to {CHAPTERS}")
        scale = scale if scale is not None else os.environ.get("PERFLAB_SCALE", "quick")
        require(scale in SCALES, "scale", scale, "'quick' or 'full'")
        self.number = number
        self.scale = scale
        self.record = Record()
        self._kinds: dict[str, Kind] = {}
        show.line(f"{self.record.machine.label} · scale: {scale}")

    def pick(self, quick: T, full: T) -> T:
        """The value for this scale."""
        return quick if self.scale == "quick" else full

    # ── before the run

    def predict(self, claim: str, kind: Kind, mine: Any = None) -> None:
        """Ask the reader for a prediction; `mine` gives it in code instead of in the widget.

        It counts once the claim has not been judged yet in this record: a prediction made after
        the result is shown on the figure but scored apart, as hindsight. ValueError where `mine`
        does not fit the question.
        """
        self._own(claim)
        self._ask(claim, kind, mine)

    def mystery(self, question: str, suspects: Sequence[str], mine: Any = None) -> None:
        """Put the chapter's mystery to the vote; `solved` names the culprit later."""
        self._ask(f"{self.number}.mystery", Choice(question, tuple(suspects)), mine)

    def solved(self, culprit: str) -> None:
        """Tell who it was, and score the vote. ValueError if nobody of that name was suspected."""
        kind = self._kinds.get(f"{self.number}.mystery")
        suspects = kind.options if isinstance(kind, Choice) else ()
        require(culprit in suspects, "culprit", culprit, "one of the suspects of ch.mystery(…)")
        show.line(f"It was {culprit}.")
        self._score(f"{self.number}.mystery", culprit)

    def prediction(self, claim: str) -> Any:
        """The reader's last prediction for this claim, or None."""
        kind = self._kinds.get(claim)
        row = self.record.last("predictions", claim=claim, kind=type(kind).__name__)
        return row["answer"] if row else None

    def live(self, name: str) -> Live:
        """A figure that follows a run of this name while it goes on; give it to `watch=`."""
        return Live(name)

    # ── after the run

    def figure(
        self,
        claim: str,
        title: str,
        x_label: str,
        panels: Sequence[plots.Panel],
        predicted_in: int | None = None,
        **more: Any,
    ) -> None:
        """Draw the claim's figure, with the reader's interval in the panel of that number.

        More keywords (`events`, `x_log`) go to `plots.draw`.
        """
        self._own(claim)
        drawn = predicted_in is not None and isinstance(self._kinds.get(claim), Interval)
        figure = plots.draw(
            title,
            x_label,
            panels,
            prediction=self.prediction(claim) if drawn else None,
            predicted_in=predicted_in or 0,
            **more,
        )
        words = plots.alternative_text(title, x_label, panels)
        show.picture(plots.png(figure), words, claim, [panel.label for panel in panels])

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
        require(holds in WORDS, "holds", holds, "True, False or None")
        decided = holds is not None or "A" not in row.evidence
        require(decided, "holds", holds, "True or False: this claim has Tier A evidence")
        require(len(facts) > 0, "facts", facts, "at least one fact")
        word = WORDS[None if holds is None else bool(holds)]
        shown = {name: show.fact(value) for name, value in facts.items()}
        self.record.add("verdicts", claim=claim, word=word, facts=shown)
        show.verdict(claim, row.text, word, shown)

    def measured(
        self, claim: str, effect: str, holds: bool | None = None, outcome: Any = None
    ) -> None:
        """Say what the clock showed here, beside the verdict; score the reader's prediction.

        `effect` is a sentence with its interval, `holds` the Tier B word (None: inconclusive),
        `outcome` the result that the prediction is scored against.
        """
        self._own(claim)
        self.record.add("effects", claim=claim, word=WORDS[holds], effect=effect)
        show.measured(WORDS[holds], effect)
        if outcome is not None and claim in self._kinds:
            self._score(claim, outcome)

    def against_baseline(self, claim: str, name: str, **summary: float) -> None:
        """Compare a run with the last one of this name on this machine, then keep it.

        Raises DifferentMachinesError where only another machine's run is known; ValueError for
        an empty summary.
        """
        self._own(claim)
        require(len(summary) > 0, "summary", summary, "at least one named number")
        earlier = self.record.baseline(claim, name)
        self.record.add("runs", claim=claim, name=name, summary=summary)
        show.baseline(name, summary, earlier)

    # ── exercises and summing up

    def check(self, number: int, answer: Callable[..., Any]) -> None:
        """Judge the reader's answer to an exercise of this chapter and show why."""
        task = exercise(self.number, number)
        found = task.judge(answer)
        name = f"{self.number}.{number}"
        self.record.add("answers", exercise=name, status=found.status, hint=found.hint)
        show.checked(task.title, found.status, found.hint, found.tried)

    def scoreboard(self) -> None:
        """All claims of the chapter: verdicts, effects here and elsewhere, predictions, answers."""
        lines = scoreboard.lines(self.record, self.number)
        show.scoreboard(lines, scoreboard.answers(self.record, self.number))

    # ── within

    def _own(self, claim: str) -> Any:
        row = claim_of(claim)
        require(row.chapter == self.number, "claim", claim, f"a claim of chapter {self.number}")
        return row

    def _ask(self, claim: str, kind: Kind, mine: Any) -> None:
        self._kinds[claim] = kind
        if mine is not None:
            self._keep_prediction(claim, kind, mine)
        ask(kind, self.prediction(claim), lambda answer: self._keep_prediction(claim, kind, answer))

    def _keep_prediction(self, claim: str, kind: Kind, answer: Any) -> None:
        read = kind.read(answer)
        known = self.prediction(claim)
        if known is None or kind.read(known) != read:
            self.record.add("predictions", claim=claim, kind=type(kind).__name__, answer=read)

    def _score(self, claim: str, outcome: Any) -> None:
        kind, answer = self._kinds[claim], self.prediction(claim)
        self.record.add("outcomes", claim=claim)
        if answer is None:
            show.line("You made no prediction. Everything works without; with one you learn more.")
            return
        scored = kind.score(kind.read(answer), outcome)
        name = type(kind).__name__
        late = self.record.knew(claim, name)
        self.record.add("scores", claim=claim, kind=name, points=scored.points, late=int(late))
        show.score(kind.say(kind.read(answer)), scored.points, scored.caught, scored.sentence, late)


