"""How well each class is found near and far: figures pooled over runs, and a picture of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sim.intervals import wilson

RECALL, PRECISION, AP = "#1f77b4", "#ff7f0e", "#2ca02c"
FEW = 5
"""A share of fewer than so many says nothing: it is not drawn."""

Rows = Mapping[str, Iterable[Mapping[str, Any]]]
"""metrics.json's `detection_by_range`: class -> {from_m, to_m, truths, claims, recall, precision, ap}."""


def pooled(runs: Iterable[Rows]) -> dict[str, list[dict[str, Any]]]:
    """Over runs: truths and claims add up, shares weigh by them, so do average precisions by truths."""
    sums: dict[tuple[str, float, float], dict[str, float]] = {}
    for run in runs:
        for cls, rows in run.items():
            for row in rows:
                into = sums.setdefault((cls, row["from_m"], row["to_m"]), dict.fromkeys(("truths", "claims", "found", "right", "ap"), 0.0))
                into["truths"] += row["truths"]
                into["claims"] += row["claims"]
                into["found"] += row["truths"] * (row["recall"] or 0.0)
                into["right"] += row["claims"] * (row["precision"] or 0.0)
                into["ap"] += row["truths"] * (row["ap"] or 0.0)
    out: dict[str, list[dict[str, Any]]] = {}
    for (cls, low, high), s in sorted(sums.items()):
        shares = {
            "recall": s["found"] / s["truths"] if s["truths"] else None,
            "precision": s["right"] / s["claims"] if s["claims"] else None,
            "ap": s["ap"] / s["truths"] if s["truths"] else None,
        }
        row = {"from_m": low, "to_m": high, "truths": int(s["truths"]), "claims": int(s["claims"]), **shares}
        out.setdefault(cls, []).append(row)
    return out


def by_range(classes: Rows) -> Any:
    """A panel for each class; None where nothing was ever there to be seen."""
    from matplotlib.figure import Figure

    shown = {c: [r for r in rows if r["truths"]] for c, rows in classes.items()}
    shown = {c: rows for c, rows in shown.items() if rows}
    if not shown:
        return None
    count = -(-(len(shown) + 1) // 4)
    canvas = Figure(figsize=(13, 2.9 * count + 0.2), layout="constrained")
    panels = list(canvas.subplots(count, 4, squeeze=False, sharey=True).flat)
    for axes, (cls, rows) in zip(panels, shown.items()):
        _panel(axes, cls, rows)
    for axes in panels[len(shown) :]:
        axes.axis("off")
    _key(panels[len(shown)])
    return canvas


def _panel(axes: Any, cls: str, rows: list[Mapping[str, Any]]) -> None:
    x = [0.5 * (r["from_m"] + r["to_m"]) for r in rows]
    for share, of, colour, style in (
        ("recall", "truths", RECALL, "o-"), ("precision", "claims", PRECISION, "s-"), ("ap", "truths", AP, "^:"),
    ):  # fmt: skip
        use = [(at, r) for at, r in zip(x, rows) if r[share] is not None and r[of] >= FEW]
        if not use:
            continue
        at, found = [a for a, _ in use], [r[share] for _, r in use]
        if share != "ap":
            ends = [wilson(round(r[share] * r[of]), r[of]) for _, r in use]
            axes.fill_between(at, [e[0] for e in ends], [e[1] for e in ends], color=colour, alpha=0.15, lw=0)
        axes.plot(at, found, style, color=colour, ms=4, lw=1.5)
    axes.set_xticks(x, [f"{r['from_m']:g}-{r['to_m']:g}\nn={r['truths']}" for r in rows], fontsize=7)
    axes.set(ylim=(0, 1.03), title=cls.replace("_", " "))
    axes.title.set_fontsize(10)
    axes.margins(x=0.1)
    axes.tick_params(axis="y", labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#eeeeee")


def _key(axes: Any) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Line2D([], [], color=RECALL, marker="o", ms=4, label="recall"),
        Line2D([], [], color=PRECISION, marker="s", ms=4, label="precision"),
        Line2D([], [], color=AP, marker="^", ls=":", ms=4, label="average precision"),
        Patch(color="#888888", alpha=0.3, label="95% interval, frames taken as\nindependent"),
        Line2D([], [], lw=0, label="across: distance [m];\nn = objects that sensors saw"),
    ]
    axes.legend(handles=handles, loc="center left", frameon=False, fontsize=9).set_in_layout(False)
