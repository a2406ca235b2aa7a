"""What a sweep's report says of ablations: a table of what got worse, and bars of each score without each part."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sim.ablation import ABLATIONS, SCORES

FULL, SAME, WORSE = "#444444", "#9ec5e6", "#d62728"
TITLES = {
    "detection_map": "detection mAP", "orders_done": "orders done", "instruction_done": "instruction done",
    "keep_out_entries": "drives into keep-outs", "collisions": "collisions", "sim_s": "time to the end [s]",
    "waited_s": "robots waited [s]", "false_blocked_s": "false blockages [cell s]",
}  # fmt: skip

Entries = Mapping[str, Mapping[str, Any]]
"""`ablation` of a run in results.json: part -> {hurts, scores, folder, error}."""


def ablations_of(scenarios: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Entries]:
    """Those of the scenarios that have some; a scenario's runs all carry the same scores."""
    return {name: runs[0]["ablation"] for name, runs in scenarios.items() if runs and runs[0].get("ablation")}


def ablation_table(entries: Mapping[str, Entries], out: Path) -> str:
    """HTML: a row for each scenario and part, with a link to the first seed's run where that left a report in `out`."""
    rows = []
    for name, parts in entries.items():
        for part, entry in parts.items():
            verdict = '<td class="ok">needed</td>' if entry["hurts"] else '<td class="bad">NOT NEEDED</td>'
            cells = "".join(_cell(entry["scores"].get(score.name)) for score in SCORES)
            failed = html.escape(entry.get("error", ""))
            rows.append(f"<tr><td>{html.escape(name)}</td><td>{_run(part, entry, out)}</td>{verdict}{cells}<td>{failed}</td></tr>")
    head = "".join(f'<th class="n">{html.escape(TITLES[s.name])}</th>' for s in SCORES)
    return (
        f"<table><tr><th>scenario</th><th>without</th><th></th>{head}<th></th></tr>{''.join(rows)}</table>"
        '<p class="note">The same scenario and seeds, each time without one part: '
        + "; ".join(f"<b>{p}</b>: {html.escape(w)}" for p, w in ABLATIONS.items())
        + ". Shown is the change from the full run; red: worse by the margin that was set for the score before any run, and "
        "with several seeds beyond the 95% interval of the paired change. A part without which no score is worse was not "
        "needed: the scenario is too easy.</p>"
    )


def _run(part: str, entry: Mapping[str, Any], out: Path) -> str:
    page = f"{entry.get('folder', '')}/report.html"
    there = entry.get("folder") and (out / page).is_file()
    return f'<a href="{quote(page)}">{html.escape(part)}</a>' if there else html.escape(part)


def _cell(score: Mapping[str, Any] | None) -> str:
    if score is None:
        return '<td class="n">-</td>'
    kind = "n bad" if score["worse"] else "n"
    half = "" if score["half"] is None else f' <span class="ci">± {score["half"]:.3g}</span>'
    return f'<td class="{kind}">{score["full"]:.4g} &rarr; {score["ablated"]:.4g}{half}</td>'


def ablation_bars(parts: Entries) -> Any:
    """A panel for each score: the full run and each ablation. None where no ablation came to figures."""
    from matplotlib.figure import Figure

    parts = {part: entry for part, entry in parts.items() if entry["scores"]}
    shown = [s for s in SCORES if any(s.name in entry["scores"] for entry in parts.values())]
    if not shown:
        return None
    rows = -(-len(shown) // 4)
    canvas = Figure(figsize=(13, rows * (0.27 * (len(parts) + 1) + 0.75)), layout="constrained")
    grid = list(canvas.subplots(rows, 4, squeeze=False, sharey=True).flat)
    labels = ["full", *(f"no {part}" for part in parts)]
    for axes, score in zip(grid, shown):
        found = [entry["scores"].get(score.name) for entry in parts.values()]
        full = next(s["full"] for s in found if s is not None)
        values = [full, *(0.0 if s is None else s["ablated"] for s in found)]
        colours = [FULL, *(WORSE if s is not None and s["worse"] else SAME for s in found)]
        top = max([abs(v) for v in values] + [s["margin"] for s in found if s is not None])
        axes.barh(range(len(values)), values, color=colours, height=0.72)
        for row, value in enumerate(values):
            axes.text(value + 0.02 * top, row, f"{value:.3g}" if score.name == "detection_map" else f"{value:.4g}", va="center", fontsize=8)
        axes.axvline(full, color=FULL, lw=0.8, ls=":")
        axes.set(title=TITLES[score.name] + (" (more is better)" if score.sign > 0 else " (less is better)"), xlim=(0, 1.22 * top))
        axes.title.set_fontsize(9)
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[len(shown) :]:
        axes.axis("off")
    return canvas
