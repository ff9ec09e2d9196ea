"""An SQLite connection that tells of each statement before it runs, and can be killed there."""

import sqlite3
from collections.abc import Callable
from typing import Any

MOST = 1_000  # statements of one connection
Step = Callable[[int], None]


class Killed(BaseException):
    """The process is gone: nothing that an answer should catch."""


class Endless(BaseException):
    """A consumer goes on and on; nor this."""


class Cursor(sqlite3.Cursor):
    """Tells its connection of each statement before it is run."""

    connection: "Watched"

    def execute(self, *arguments: Any) -> "Cursor":
        self.connection.step()
        super().execute(*arguments)
        return self

    def executemany(self, *arguments: Any) -> "Cursor":
        self.connection.step()
        super().executemany(*arguments)
        return self

    def executescript(self, script: str) -> "Cursor":
        raise sqlite3.NotSupportedError("one statement at a time: execute, not executescript")


class Watched(sqlite3.Connection):
    """A connection that counts its statements. State: `steps`; `before`, called with each number;
    `gone`, whether its process was killed: then it does nothing any more."""

    def watch(self, before: Step | None) -> "Watched":
        self.steps, self.gone, self.before = 0, False, before
        return self

    def step(self) -> None:
        if self.gone:
            raise Killed
        self.steps += 1
        if self.steps > MOST:
            raise Endless
        if self.before is not None:
            try:
                self.before(self.steps)
            except Killed:  # nor does what an answer does in a `finally`
                self.gone = True
                raise

    def cursor(self, *arguments: Any) -> Any:
        return super().cursor(Cursor)

    def execute(self, *arguments: Any) -> Any:
        return self.cursor().execute(*arguments)

    def executemany(self, *arguments: Any) -> Any:
        return self.cursor().executemany(*arguments)

    def executescript(self, script: str) -> Any:
        return self.cursor().executescript(script)

    def commit(self) -> None:
        self.step()
        super().commit()
