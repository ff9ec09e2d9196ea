"""Ours beside its peers, by turns in one process, on one thread and on four.

    python tests/benchmarks/race.py [PART …]     run the races of these parts, else of all
    python tests/benchmarks/race.py --table      write the README's table and figure, run nothing

Parts are the modules of tests/benchmarks/peers, each with a list RACES. What was found goes into
data/benchmarks.csv, with the machine, and takes the place of what these parts found before; what
another machine found is thrown away. A goal is met where the whole interval reaches it, MISSED
where none of it does. Peers that are not installed are skipped; `make bench` installs them.
"""

import argparse
import importlib
import pkgutil
from pathlib import Path

from tests.benchmarks import standings
from tests.benchmarks.racing import Race, Result, compete


def parts() -> list[str]:
    """Names of the modules with races."""
    return [found.name for found in pkgutil.iter_modules([str(Path(__file__).parent / "peers")])]


def races(part: str) -> list[Race]:
    found: list[Race] = importlib.import_module(f"tests.benchmarks.peers.{part}").RACES
    return found


def run(names: list[str], seconds: float) -> list[Result]:
    """All races of these parts, each result told as soon as it is there."""
    results = []
    for part in names:
        for race in races(part):
            skipped: list[str] = []
            for result in compete(part, race, seconds, skipped.append):
                print(standings.line(result), flush=True)
                results.append(result)
            for reason in dict.fromkeys(skipped):
                print(reason)
            if results and results[-1].race == race.name and results[-1].idle_bytes is not None:
                print(f"{race.name:24} {results[-1].idle_bytes:,} bytes an idle object of ours")
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(parts())}")
    parser.add_argument("--seconds", type=float, default=2.0, help="per race and thread count")
    parser.add_argument("--table", action="store_true", help="write the README's table and figure")
    parser.add_argument("--dry", action="store_true", help="leave data/benchmarks.csv alone")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(parts()):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if asked.table:
        return show()
    found = run(asked.parts or parts(), asked.seconds)
    missed = sum(one.verdict == "MISSED" for one in found)
    goals = sum(one.goal is not None for one in found)
    print(f"{goals} goals, {missed} missed, {len(found)} comparisons")
    if found and not asked.dry:
        standings.write(found)
    return None


def show() -> None:
    """Write the README's table and the figure from data/benchmarks.csv."""
    results = standings.read()
    if not results:
        raise SystemExit("data/benchmarks.csv is empty: run a race first")
    text = standings.README.read_text("utf-8")
    standings.README.write_text(standings.put_into(text, results), "utf-8")
    standings.FIGURE.write_bytes(standings.figure(results))


if __name__ == "__main__":
    main()
