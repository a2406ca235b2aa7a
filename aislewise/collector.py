"""Python's garbage collector in processes that have to answer in time."""

from __future__ import annotations

import gc


def settle() -> None:
    """What has been loaded so far is here to stay: the collector need not go through it again and again. With all modules a
    full run takes it some 60 ms, in the middle of a callback."""
    gc.collect()
    gc.freeze()
