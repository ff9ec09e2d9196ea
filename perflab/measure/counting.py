"""Work that is counted instead of timed: a value that notices whenever somebody looks at it."""

from typing import Any, ClassVar


class Counted:
    """A value that counts each look at it, by ==, < or hash, in `Counted.looks`.

    It serves as an item to search, sort or group: the count is then the work done, and the same
    on every machine. `looks` is one number for all values of the process; count differences.
    """

    looks: ClassVar[int] = 0
    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        Counted.looks += 1
        return isinstance(other, Counted) and bool(self.value == other.value)

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Counted):
            return NotImplemented
        Counted.looks += 1
        return bool(self.value < other.value)

    def __hash__(self) -> int:
        Counted.looks += 1
        return hash(self.value)

    def __repr__(self) -> str:
        return f"<{self.value}>"
