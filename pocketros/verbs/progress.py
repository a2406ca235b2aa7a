"""A line of progress on stderr, for people: nothing where stderr is no terminal."""

from __future__ import annotations

import sys
import time
from types import TracebackType

EVERY_S = 0.2


class Progress:
    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._width = 0
        self._next_s = 0.0

    def show(self, text: str, *, now: bool = False) -> None:
        """Replace the line, at most five times a second."""
        if not self._shown or (time.monotonic() < self._next_s and not now):
            return
        self._next_s = time.monotonic() + EVERY_S
        print(f"\r{text:<{self._width}}", end="", file=sys.stderr, flush=True)
        self._width = len(text)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._width:
            print(file=sys.stderr)
