"""The machine is described without naming anybody, and its noise is measured."""

import dataclasses
import getpass
import math
import platform

import pytest

from perflab.measure.machine import Machine, clock_resolution, noise_floor

EPYC = Machine("AMD EPYC", 2, 8, "Linux", "3.11.7", "CPython", True)


def test_here_describes_this_interpreter() -> None:
    """Cores, memory and version are those of the running process."""
    here = Machine.here()
    assert here.cores >= 1
    assert here.memory_gib >= 1
    assert here.python == platform.python_version()
    assert here.cpu.strip() == here.cpu != ""
    assert here.same_as(Machine.here())


def test_nobody_is_named() -> None:
    """Neither the host's name nor the user's stands in a field of its own."""
    assert {platform.node(), getpass.getuser()}.isdisjoint(
        map(str, dataclasses.astuple(Machine.here()))
    )


def test_the_label_is_one_line_for_a_figure() -> None:
    """Model, cores, system, Python; the missing lock is said."""
    assert EPYC.label == "AMD EPYC, 2 cores, Linux, Python 3.11"
    free = dataclasses.replace(EPYC, cores=1, python="3.14.0", gil=False)
    assert free.label == "AMD EPYC, 1 core, Linux, Python 3.14 without GIL"


def test_the_id_is_stable() -> None:
    """It is written into records: this very machine keeps this very id, in every process."""
    assert EPYC.id == "7350103a"


@pytest.mark.parametrize(
    "change",
    [
        {"cpu": "AMD EPYC 2"},
        {"cores": 4},
        {"memory_gib": 16},
        {"system": "Darwin"},
        {"python": "3.12.7"},
        {"implementation": "PyPy"},
        {"gil": False},
    ],
)
def test_another_machine_is_another(change: dict) -> None:
    """Each fact that changes speed changes the id."""
    assert not EPYC.same_as(dataclasses.replace(EPYC, **change))


def test_an_update_of_the_last_digit_is_the_same_machine() -> None:
    """A reader's baseline of last week survives Python 3.11.8."""
    assert EPYC.same_as(dataclasses.replace(EPYC, python="3.11.8"))


def test_load_is_a_share() -> None:
    """Between nothing and all cores."""
    assert 0 <= Machine.load(0.01) <= 1


class Scripted:
    """A clock that goes on by 1 µs a reading, and stalls at given readings."""

    def __init__(self, stalls: dict[int, float]) -> None:
        self.readings = 0
        self.now = 0.0
        self._stalls = stalls

    def __call__(self) -> float:
        self.readings += 1
        self.now += 1e-6 + self._stalls.get(self.readings, 0.0)
        return self.now


def test_the_noise_floor_finds_each_hiccup() -> None:
    """Three stalls in a tenth of a second: their lengths, the longest and their share."""
    floor = noise_floor(0.1, clock=Scripted({5000: 0.001, 9000: 0.020, 12_000: 0.004}))
    assert floor.hiccups == pytest.approx([0.001001, 0.020001, 0.004001])
    assert floor.max_gap == floor.p99_gap == pytest.approx(0.020001)
    assert floor.stolen == pytest.approx(0.25, abs=0.001)
    assert floor.seconds == pytest.approx(0.1, abs=1e-5)
    assert floor.resolution == pytest.approx(1e-6)


def test_a_machine_without_noise_has_a_floor_of_nothing() -> None:
    """Steps of a microsecond are the reading itself, not hiccups."""
    floor = noise_floor(0.01, clock=Scripted({}))
    assert (floor.max_gap, floor.p99_gap, floor.stolen) == (0.0, 0.0, 0.0)


def test_the_real_clock_has_a_floor() -> None:
    """On this machine too it takes the time asked for, and less than all is stolen."""
    floor = noise_floor(0.02)
    assert floor.seconds >= 0.02
    assert 0 < floor.resolution < 0.001
    assert 0 <= floor.stolen < 1


def test_resolution_of_a_clock_that_stands_still_is_nothing() -> None:
    """It is told as 0, and the noise floor refuses such a clock instead of waiting for ever."""
    assert clock_resolution(lambda: 1.0) == 0.0
    with pytest.raises(ValueError, match="clock"):
        noise_floor(0.01, clock=lambda: 1.0)


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf, True, "1"])
def test_nonsense_is_refused(seconds: object) -> None:
    """A time that is no number above 0."""
    for function in (noise_floor, Machine.load):
        with pytest.raises(ValueError, match="seconds"):
            function(seconds)
