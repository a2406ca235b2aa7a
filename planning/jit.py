"""The one way kernels are compiled: cached on disk, free of the GIL, typed for mypy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile `function` with numba on first call; later processes load it from the cache.

    A kernel may call only kernels of its own file: numba's cache looks at that file's age alone, and would
    go on using an old version of anything it calls elsewhere."""
    return cast(F, njit(cache=True, nogil=True)(function))
