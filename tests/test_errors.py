"""A refusal names the argument and shows its value, whatever that is."""

import pytest

from perflab.errors import require


class Unspeakable:
    def __repr__(self) -> str:
        raise OSError("no words")


VALUES = {
    "long": list(range(10_000)),
    "large": 10**400,
    "too large to write": 10**10_000,
    "unspeakable": Unspeakable(),
    "plain": "x",
}


@pytest.mark.parametrize("kind", VALUES)
def test_a_refused_value_is_shown_in_a_line(kind: str) -> None:
    """Long values are shortened, and one that cannot be written is told by its type."""
    value = VALUES[kind]
    with pytest.raises(ValueError, match=r"^thing=.*: must be small$") as refused:
        require(False, "thing", value, "small")
    assert len(str(refused.value)) < 300
