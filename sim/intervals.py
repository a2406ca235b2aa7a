"""How far a figure over a few seeds can be trusted: 95% confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

Z95 = 1.959963984540054


def wilson(passed: int, total: int) -> tuple[float, float]:
    """Of a share of passed runs. Wilson's score interval stays within 0 and 1 and is honest about 5 of 5.
    E. B. Wilson, 1927, Journal of the American Statistical Association 22(158)."""
    if total == 0:
        return 0.0, 1.0
    share, z2 = passed / total, Z95 * Z95
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = Z95 / (1 + z2 / total) * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total))
    return max(0.0, centre - half), min(1.0, centre + half)


def mean_t(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and half width (Student's t); one value alone has no width."""
    n = len(values)
    mean = math.fsum(values) / n
    if n < 2:
        return mean, None
    from scipy.special import stdtrit

    spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1))
    return mean, float(stdtrit(n - 1, 0.975)) * spread / math.sqrt(n)
