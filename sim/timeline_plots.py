"""What befell a shift and how it reacted, over one axis of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aislewise.types import F64

ROBOTS = {"moving": "#1f77b4", "working": "#2ca02c", "charging": "#9467bd", "waiting": "#d62728", "idle": "#d9d9d9"}
"""What robots do (sim.watch.DOING), as areas on each other."""
FAULTS = {
    "camera": "#ff7f0e", "lidar": "#bcbd22", "light": "#7f7f7f", "robot": "#8c564b", "battery": "#9467bd",
    "aisle": "#bc8f5f", "person": "#d62728", "spill": "#17becf",
}  # fmt: skip
BIN_S = 2.0
"""Frames are counted over so long."""
LONGEST_LABEL, MOST_FAULTS = 60, 25


def faults_of(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """{kind, at_s, until_s or None, text} of a run, by time; none where it has no such list."""
    found = metrics.get("faults")
    if not isinstance(found, list):
        return []
    return sorted((f for f in found if isinstance(f, dict) and "at_s" in f and "kind" in f), key=lambda f: float(f["at_s"]))


def timeline(series: Mapping[str, F64], faults: Sequence[Mapping[str, Any]]) -> Any:
    """Rows over time: faults, robots, orders, frames, blocked cells. None for a run that left no series."""
    from matplotlib.figure import Figure

    if not len(series.get("t_s", ())) or not all(name in series for name in ROBOTS):
        return None
    faults = faults[:MOST_FAULTS]
    end_s = float(series["t_s"][-1])
    heights = [0.28 * len(faults) + 0.25] * bool(faults) + [1.6, 1.1, 1.3, 1.1]
    canvas = Figure(figsize=(12, sum(heights) + 1.2), layout="constrained")
    rows = canvas.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    if faults:
        _faults(rows[0], faults, end_s)
    robots, orders, frames, blocked = rows[-4:]
    _robots(robots, series)
    _orders(orders, series, end_s)
    _frames(frames, series, end_s)
    _blocked(blocked, series)
    for axes in rows:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
        for at_s in (t for f in faults for t in (f["at_s"], f.get("until_s")) if t is not None and t < end_s):
            axes.axvline(float(at_s), color="#444444", lw=0.7, ls=":", zorder=5)
    rows[-1].set(xlabel="simulated time [s]", xlim=(0, end_s))
    return canvas


def _faults(axes: Any, faults: Sequence[Mapping[str, Any]], end_s: float) -> None:
    for row, fault in enumerate(faults):
        at_s, until_s = float(fault["at_s"]), fault.get("until_s")
        last_s = end_s if until_s is None else min(float(until_s), end_s)
        colour = FAULTS.get(str(fault["kind"]).partition(" ")[0], "#444444")
        axes.barh(row, max(last_s - at_s, 0.0), left=at_s, color=colour, height=0.7)
        axes.plot(at_s, row, "|", color=colour, ms=11, mew=2)
    axes.set_yticks(range(len(faults)), [_label(f) for f in faults])
    axes.set(ylim=(len(faults) - 0.4, -0.6))
    axes.tick_params(axis="y", length=0)


def _label(fault: Mapping[str, Any]) -> str:
    text = str(fault.get("text") or fault["kind"]).partition(" fault ")
    name = text[2] or text[0]
    return name if len(name) <= LONGEST_LABEL else name[: LONGEST_LABEL - 3] + "..."


def _robots(axes: Any, series: Mapping[str, F64]) -> None:
    axes.stackplot(series["t_s"], [series[n] for n in ROBOTS], colors=ROBOTS.values(), labels=list(ROBOTS), step="post", lw=0)
    axes.set(ylabel="robots", ylim=(0, None))
    axes.yaxis.get_major_locator().set_params(integer=True)
    _legend(axes)


def _orders(axes: Any, series: Mapping[str, F64], end_s: float) -> None:
    done = np.sort(series.get("orders_done_s", np.zeros(0)))
    axes.step([0.0, *done, end_s], [*range(len(done) + 1), len(done)], where="post", color="#2ca02c")
    axes.set(ylabel="orders done", ylim=(0, max(1.0, 1.1 * len(done))))
    axes.yaxis.get_major_locator().set_params(integer=True)


def _frames(axes: Any, series: Mapping[str, F64], end_s: float) -> None:
    """A frame counts for each sensor that took part in it."""
    table = np.asarray(series.get("frames", np.zeros((0, 4)))).reshape(-1, 4)
    edges = np.arange(0.0, end_s + BIN_S, BIN_S)
    for column, label, colour in ((2, "with camera", "#ff7f0e"), (3, "with lidar", "#1f77b4")):
        counts, _ = np.histogram(table[:, 0], edges, weights=table[:, column])
        axes.stairs(counts / BIN_S, edges, color=colour, lw=1.4, label=label, ls="--" if column == 3 else "-")
    axes.set(ylabel="frames/s", ylim=(0, None))
    other = axes.twinx()
    found, _ = np.histogram(table[:, 0], edges, weights=table[:, 1])
    other.stairs(found / BIN_S, edges, color="#999999", lw=0.9)
    other.set_ylabel("detections/s", color="#777777")
    other.set_ylim(0, None)
    other.tick_params(labelsize=8, colors="#777777")
    other.spines[["top", "left"]].set_visible(False)
    _legend(axes)


def _blocked(axes: Any, series: Mapping[str, F64]) -> None:
    if "blocked" in series and "false_blocked" in series:
        axes.fill_between(series["t_s"], series["blocked"], step="post", color="#bc8f5f", alpha=0.5, lw=0, label="planned round")
        axes.fill_between(
            series["t_s"], series["false_blocked"], step="post", color="#d62728", lw=0, label="of them for no reason"
        )
        _legend(axes)
    axes.set(ylabel="blocked cells", ylim=(0, None))
    axes.yaxis.get_major_locator().set_params(integer=True)


def _legend(axes: Any) -> None:
    """Outside, so that it covers nothing."""
    axes.legend(loc="center left", bbox_to_anchor=(1.06, 0.5), fontsize=8, frameon=False)
