"""The report of a replay: one self-contained HTML page of gates, pictures and figures, recorded beside replayed."""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path
from typing import Any

import numpy as np

from sim.replay import Outcome
from sim.replay_compare import Comparison, pair
from sim.sweep import shown

RECORDED, REPLAYED = "#1f77b4", "#ff7f0e"
BIN_S = 5.0

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em; color: #222 }
img { max-width: 100% } table { border-collapse: collapse; margin: 1em 0 }
td, th { border-bottom: 1px solid #ddd; padding: .25em .8em .25em 0; text-align: left; vertical-align: top }
.ok { color: #2a7f2a; font-weight: 600 } .bad { color: #d62728; font-weight: 600 } .note { color: #666; max-width: 50em }
"""


def write_replay_report(result: dict[str, Any], outcome: Outcome, comparison: Comparison, path: Path) -> None:
    """result: the run as it stands in results.json. Pictures also go beside the page, as replay.png and world.png."""
    import matplotlib

    matplotlib.use("Agg")
    pictures = [("Over time", "replay.png", over_time(comparison)), ("The last world state", "world.png", last_world(outcome))]
    body = ""
    for title, name, figure in pictures:
        if figure is not None:
            png = _png(figure)
            (path.parent / name).write_bytes(png)
            data = base64.b64encode(png).decode()
            body += f'<h2>{title}</h2>\n<img alt="{title}" src="data:image/png;base64,{data}">\n'
    path.write_text(_page(result, outcome, body), encoding="utf-8")


def over_time(comparison: Comparison) -> Any:
    """Detections in frames and objects in the world, recorded and replayed, with how well they agree."""
    from matplotlib.figure import Figure

    tables = [
        ("detections per frame", comparison.detections, "F1"),
        ("known objects in the world", comparison.world, "RMSE of positions [m]"),
    ]
    tables = [t for t in tables if len(t[1])]
    if not tables:
        return None
    figure = Figure(figsize=(11, 3.4 * len(tables)), layout="constrained")
    for axes, (title, table, measure) in zip(np.atleast_1d(figure.subplots(len(tables), 1)), tables):
        t, recorded, replayed, agreement = _binned(table)
        axes.step(t, recorded, where="mid", color=RECORDED, lw=2.2, label="recorded")
        axes.step(t, replayed, where="mid", color=REPLAYED, lw=1.0, label="replayed")
        axes.set(title=title, xlabel=f"ROS time since the first, means of {BIN_S:g} s [s]", ylabel="number", ylim=(0, None))
        other = axes.twinx()
        other.plot(t, agreement, ".:", color="#555", lw=0.8, ms=4, label=measure)
        other.set(ylabel=measure, ylim=(0, 1.05 if measure == "F1" else max(0.1, 1.2 * float(agreement.max()))))
        handles = [h for a in (axes, other) for h in a.get_legend_handles_labels()[0]]
        axes.legend(handles=handles, loc="lower right", fontsize=8)
    return figure


def _binned(table: np.ndarray[Any, np.dtype[np.float64]]) -> list[np.ndarray[Any, np.dtype[np.float64]]]:
    """Columns (t, ...) as means over BIN_S; t from the first row on."""
    t = table[:, 0] - table[0, 0]
    number = (t // BIN_S).astype(np.int64)
    bins = np.unique(number)
    return [(bins + 0.5) * BIN_S, *(np.array([table[number == b, k].mean() for b in bins]) for k in (1, 2, 3))]


def last_world(outcome: Outcome) -> Any:
    """Objects of the last recorded state and of the replayed one nearest to it, on the site map."""
    from matplotlib.figure import Figure

    if not (outcome.recorded.worlds and outcome.replayed.worlds):
        return None
    a = outcome.recorded.worlds[-1]
    b = min(outcome.replayed.worlds, key=lambda w: abs(w.stamp_ns - a.stamp_ns))
    figure = Figure(figsize=(7.5, 8.5), layout="constrained")
    axes = figure.subplots()
    if (site := outcome.site) is not None:
        extent = (site.x_m, site.x_m + site.width * site.resolution_m, site.y_m, site.y_m + site.height * site.resolution_m)
        axes.imshow(~site.free, origin="lower", extent=extent, cmap="Greys", vmin=0, vmax=2.2)
    axes.plot(*a.xy.T, "o", ms=11, mfc="none", mec=RECORDED, mew=1.8, label=f"recorded ({len(a.xy)})")
    axes.plot(*b.xy.T, "x", ms=7, color=REPLAYED, mew=1.8, label=f"replayed ({len(b.xy)})")
    alone = set(range(len(a.xy))) - set(pair((b.classes, b.xy), (a.classes, a.xy))[1].tolist())
    if alone:
        axes.plot(*a.xy[sorted(alone)].T, "s", ms=17, mfc="none", mec="#d62728", label="recorded, not replayed")
    axes.set(xlabel="x in map [m]", ylabel="y in map [m]", aspect="equal")
    axes.legend(loc="upper center", ncols=3, fontsize=8, bbox_to_anchor=(0.5, 1.06))
    return figure


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()


def _page(result: dict[str, Any], outcome: Outcome, pictures: str) -> str:
    verdict = "PASS" if result["ok"] else "FAIL"
    gates = [
        (name, shown(g["value"]), shown(g["limit"]), _verdict(g["ok"])) for name, g in result["gates"].items()
    ]  # fmt: skip
    metrics = result["metrics"]
    groups = {k: v for k, v in metrics.items() if isinstance(v, dict)}
    figures = [(k, name, _value(v)) for k, group in groups.items() for name, v in group.items()]
    figures += [("run", k, _value(v)) for k, v in metrics.items() if k not in groups and k != "not_replayed"]
    gaps = "".join(f"<li>{html.escape(gap)}</li>" for gap in outcome.inputs.gaps) or "<li>nothing</li>"
    title = f"Replay of {html.escape(outcome.path.name)}: {verdict}"
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>{_STYLE}</style>
<h1>{title}</h1>
{_table(("gate", "value", "limit", ""), gates)}
<h2>What was not replayed</h2><ul>{gaps}</ul>
<p class="note">Perception ran again on {html.escape(', '.join(r.name or 'the robot' for r in outcome.inputs.sensing) or 'no robot')};
of other robots the recorded detections were played. Planning is compared open loop: the robots drove the recorded
routes, so that once the plans part they are not followed any more.</p>
{pictures}
<h2>Figures</h2>{_table(("of", "figure", "value"), [tuple(map(html.escape, row)) for row in figures])}</html>
"""


def _verdict(ok: bool) -> str:
    return f'<span class="{"ok" if ok else "bad"}">{"pass" if ok else "FAIL"}</span>'


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {shown(v)}" for k, v in value.items())
    return shown(value)


def _table(head: tuple[str, ...], rows: list[Any]) -> str:
    cells = "".join(f"<th>{h}</th>" for h in head)
    body = "".join("<tr>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>" for row in rows)
    return f"<table><tr>{cells}</tr>{body}</table>"
