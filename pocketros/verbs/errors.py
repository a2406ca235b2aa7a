"""How a verb ends early: with one line for people and an exit status, never with a traceback."""

from __future__ import annotations


class VerbError(Exception):
    """What is printed on stderr; `status` is the exit status (1: did not work, 2: bad input)."""

    def __init__(self, text: str, status: int = 1) -> None:
        super().__init__(text)
        self.status = status


class Interrupted(Exception):
    """Ctrl-C, SIGTERM, or somebody shut the context down; `number` is the signal's (0: none)."""

    def __init__(self, number: int = 0) -> None:
        super().__init__(f"interrupted by signal {number}")
        self.number = number

    @property
    def status(self) -> int:
        return 128 + self.number if self.number else 1
