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


def lean_kernel(function: F) -> F:
    """As `kernel`, for functions that make no arrays (neither np.empty nor copies; views are fine), in hot loops.

    Numba counts the references to each array that a call is given, up and down, atomically. For small functions of ten
    arrays that takes several times as long as what they do, and it is not removed where there are branches (numba issue
    2350). Without its runtime for memory nothing is counted: the caller holds the arrays for as long as a call lasts. Who
    makes an array all the same gets an error when it is compiled."""
    return cast(F, njit(cache=True, nogil=True, _nrt=False)(function))  # type: ignore[call-overload]
