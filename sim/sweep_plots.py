"""Pictures of a sweep's report: figures by scenario over its seeds, and maps of traffic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aislewise.types import F64
from sim.intervals import mean_t
from sim.tracks import Tracks

PASS, FAIL, SECOND = "#1f77b4", "#d62728", "#9ec5e6"


@dataclass(frozen=True)
class Figure:
    """A figure of metrics.json. path: its keys; unit and digits: as shown."""

    title: str
    path: tuple[str, ...]
    unit: str
    digits: int = 1


THROUGHPUT = Figure("throughput", ("picks_per_hour",), "lines/h", 0)
ORDER_P50 = Figure("order time p50", ("order_time_s", "p50"), "s")
ORDER_P99 = Figure("order time p99", ("order_time_s", "p99"), "s")
MAP = Figure("detection mAP", ("detection_map",), "", 3)
FUSION_P50 = Figure("fusion p50", ("fusion_latency_ms", "p50"), "ms")
FUSION_P99 = Figure("fusion p99", ("fusion_latency_ms", "p99"), "ms")
PLAN_P50 = Figure("planner p50", ("plan_latency_ms", "p50"), "ms")
PLAN_P99 = Figure("planner p99", ("plan_latency_ms", "p99"), "ms")
FIGURES = (THROUGHPUT, ORDER_P50, ORDER_P99, MAP, FUSION_P50, FUSION_P99, PLAN_P50, PLAN_P99)
_PANELS = (
    ("Throughput [order lines/h]", (THROUGHPUT,)), ("Order time, release to delivery [s]", (ORDER_P50, ORDER_P99)),
    ("Detection mAP in the loop", (MAP,)), ("Fusion latency [ms]", (FUSION_P50, FUSION_P99)),
    ("Planner latency [ms]", (PLAN_P50, PLAN_P99)),
)  # fmt: skip


def value(run: Mapping[str, Any], figure: Figure) -> float | None:
    """None where the run has no such figure: it crashed, or ran live."""
    at: Any = run["metrics"]
    for key in figure.path:
        at = at.get(key) if isinstance(at, Mapping) else None
    if isinstance(at, bool) or not isinstance(at, (int, float)) or not np.isfinite(at):
        return None
    return float(at)


def values(runs: Sequence[Mapping[str, Any]], figure: Figure) -> list[float]:
    return [v for run in runs if (v := value(run, figure)) is not None]


def by_scenario(scenarios: Mapping[str, Sequence[Mapping[str, Any]]]) -> Any:
    """A panel for each kind of figure: a dot for each seed, a bar to the mean with its 95% interval."""
    from matplotlib.figure import Figure as Canvas
    from matplotlib.lines import Line2D

    rows = len(scenarios)
    canvas = Canvas(figsize=(12, 2 * max(2.2, 0.45 * rows + 0.8)), layout="constrained")
    canvas.get_layout_engine().set(hspace=0.08)
    grid = canvas.subplots(2, 3, sharey=True)
    for axes, (title, figures) in zip(grid.flat, _PANELS):
        for row, runs in enumerate(scenarios.values()):
            for figure, colour, shift in zip(figures, (PASS, SECOND), (-0.17, 0.17) if len(figures) > 1 else (0.0,)):
                _bar(axes, row + shift, runs, figure, colour, 0.6 / len(figures))
        # Two seeds may have an interval of ten times their values: it must not set the scale.
        most = max((v for runs in scenarios.values() for f in figures for v in values(runs, f)), default=0.0) or 1.0
        axes.set(title=title, xlim=(0, 1 if figures == (MAP,) else 1.4 * most), ylim=(rows - 0.5, -0.5))
        axes.title.set_fontsize(10)
        axes.set_yticks(range(rows), list(scenarios))
        axes.tick_params(axis="y", length=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x", color="#eeeeee")
        axes.set_axisbelow(True)
    legend = grid.flat[5]
    legend.axis("off")
    key = legend.legend(
        handles=[
            Line2D([], [], color=PASS, lw=7, label="mean (of p50)"), Line2D([], [], color=SECOND, lw=7, label="mean of p99"),
            Line2D([], [], color="black", lw=1.2, label="95% interval of the mean"),
            Line2D([], [], color="#333333", marker="o", ms=4, lw=0, label="a seed that passed"),
            Line2D([], [], color=FAIL, marker="X", ms=6, lw=0, label="a seed that failed"),
        ], loc="center left", frameon=False,
    )  # fmt: skip
    key.set_in_layout(False)  # it lies over an empty panel
    return canvas


def _bar(axes: Any, y: float, runs: Sequence[Mapping[str, Any]], figure: Figure, colour: str, height: float) -> None:
    found = values(runs, figure)
    if not found:
        return
    mean, half = mean_t(found)
    axes.barh(y, mean, height=height, color=colour)
    if half is not None:
        axes.errorbar(mean, y, xerr=[[min(half, mean)], [half]], color="black", lw=1.2, capsize=3)
    for ok, colour_, marker, size in ((True, "#333333", "o", 3.5), (False, FAIL, "X", 6)):
        dots = values([r for r in runs if bool(r["ok"]) is ok], figure)
        if dots:
            axes.plot(dots, [y] * len(dots), marker, color=colour_, ms=size, mec="white", mew=0.5, zorder=4)


def traffic(maps: Mapping[str, Tracks]) -> Any:
    """Where the robots of one run of each scenario spent their time; racks and walls are grey."""
    return _maps({title: (tracks, tracks.seconds_per_cell()) for title, tracks in maps.items()}, "robot-seconds per cell")


def waits(maps: Mapping[str, Tracks]) -> Any:
    """Where they waited with work to do. Runs that kept no waits are left out; None where none did."""
    found = {title: (t, t.waits) for title, t in maps.items() if t.waits is not None}
    return _maps(found, "robot-seconds of waiting") if found else None


def _maps(maps: Mapping[str, tuple[Tracks, F64]], label: str) -> Any:
    from matplotlib.figure import Figure as Canvas

    columns = min(3, len(maps))
    rows = -(-len(maps) // columns)
    canvas = Canvas(figsize=(4 * columns, 5 * rows), layout="constrained")
    canvas.get_layout_engine().set(wspace=0.08)
    for axes, (title, (tracks, seconds)) in zip(canvas.subplots(rows, columns, squeeze=False).flat, maps.items()):
        height, width = tracks.free.shape
        x, y = tracks.corner_m
        extent = (x, x + width * tracks.resolution_m, y, y + height * tracks.resolution_m)
        axes.imshow(~tracks.free, origin="lower", extent=extent, cmap="Greys", vmin=0, vmax=3)
        seen = np.ma.masked_where(seconds <= 0, seconds)
        top = float(np.percentile(seen.compressed(), 98)) if seen.count() else 1.0
        image = axes.imshow(seen, origin="lower", extent=extent, cmap="inferno_r", vmin=0, vmax=top, interpolation="nearest")
        canvas.colorbar(image, ax=axes, shrink=0.6, label=label, extend="max")
        axes.set(title=title, xlabel="x in map [m]", ylabel="y in map [m]", aspect="equal")
        axes.title.set_fontsize(10)
    for axes in canvas.axes[: rows * columns][len(maps) :]:
        axes.axis("off")
    return canvas
