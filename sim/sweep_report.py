"""The report of a sweep: one self-contained HTML page of gates, figures, pictures, and links to what failed. What a run
lacks, because it crashed or is of an earlier version, is left out."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sim.ablation_report import ablation_bars, ablation_table, ablations_of
from sim.intervals import mean_t, wilson
from sim.range_plots import by_range, pooled
from sim.sweep import RECORDING, failed_gates, shown
from sim.sweep_plots import FIGURES, Figure, by_scenario, traffic, value, values, waits
from sim.timeline_plots import faults_of, timeline
from sim.tracks import Tracks, load_tracks

MAX_MAPS = 12
MAX_FOLDED = 40
"""Pictures of single scenarios, folded away, in one section."""
LINKS = (("report", "report.html"), ("recording", RECORDING), ("log", "log.txt"))

Runs = Sequence[dict[str, Any]]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1150px; margin: 2em auto; padding: 0 1em; color: #222 }
img { max-width: 100% } table { border-collapse: collapse; margin: 1em 0; font-size: 14px }
td, th { border-bottom: 1px solid #ddd; padding: .25em .8em .25em 0; text-align: left; vertical-align: top }
summary { cursor: pointer; margin: .4em 0 } .wide { overflow-x: auto }
td.n, .f { white-space: nowrap } .n { text-align: right } .ci { color: #777 } .ok { color: #2a7f2a; font-weight: 600 }
.bad { color: #d62728; font-weight: 600 } .note { color: #666; max-width: 50em }
"""


def write_sweep_report(results: Runs, out: Path) -> None:
    """out / "report.html"; its links are relative to `out`."""
    import matplotlib

    matplotlib.use("Agg")
    scenarios: dict[str, list[dict[str, Any]]] = {}
    for run in results:
        scenarios.setdefault(run["name"], []).append(run)
    sections = [
        ("Gates", gate_table(scenarios)),
        ("Failures", failure_table(results, out)),
        ("Figures", figure_table(scenarios) + _picture("figures by scenario", by_scenario(scenarios))),
        ("Ablation", ablation(scenarios, out)),
        ("Detection by range and class", detection(scenarios)),
        ("Faults and reactions", timelines(scenarios, out)),
        ("Traffic and waits", traffic_maps(scenarios, out)),
        ("Every run", run_table(results, out)),
    ]
    body = "".join(f"<h2>{title}</h2>\n{text}\n" for title, text in sections if text)
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.html").write_text(_page(results, len(scenarios), body), encoding="utf-8")


def gate_table(scenarios: Mapping[str, Runs]) -> str:
    """A row for each scenario, a column for each gate. A gate passes when it does so with every seed."""
    gates = list(dict.fromkeys(g for runs in scenarios.values() for r in runs for g in r["gates"]))
    rows = []
    for name, runs in scenarios.items():
        judged = sum("error" not in r for r in runs)
        cells = [_gate_cell(judged, len(runs), "")]
        for gate in gates:
            found = [r["gates"][gate] for r in runs if gate in r["gates"]]
            passed = sum(bool(g["ok"]) for g in found)
            cells.append(_gate_cell(passed, len(runs), _spread(found)) if found else "<td></td>")
        rows.append([_td(name), _verdict(all(r["ok"] for r in runs)), *cells])
    note = (
        '<p class="note">A gate passes when it does so with every seed; a run that crashed or hung passes none. The '
        "interval says what share of all seeds would pass (Wilson, 95%): a few seeds that pass promise less than it "
        "seems.</p>"
    )
    return _table([_th(h) for h in ("scenario", "", "ended", *(g.replace("_", " ") for g in gates))], rows) + note


def _gate_cell(passed: int, total: int, seen: str) -> str:
    low, high = wilson(passed, total)
    return (
        f'<td><span class="{"ok" if passed == total else "bad"}">{passed} of {total}</span> '
        f'<span class="ci">{100 * low:.0f} to {100 * high:.0f} %</span><br>{html.escape(seen)}</td>'
    )


def failure_table(results: Runs, out: Path) -> str:
    rows = []
    for run in results:
        if run["ok"]:
            continue
        why = run.get("error") or ", ".join(failed_gates(run))
        rows.append([_td(run["name"]), _td(run["seed"], "n"), _td(why), f'<td class="f">{_links(run, out)}</td>'])
    head = [_th("scenario"), _th("seed", "n"), _th("what failed"), _th("look into it")]
    return _table(head, rows) if rows else "<p>None.</p>"


def figure_table(scenarios: Mapping[str, Runs]) -> str:
    """Means over the seeds with their intervals."""
    rows = [
        [_td(name), _td(len(runs), "n"), *(f'<td class="n">{_mean(values(runs, f), f)}</td>' for f in FIGURES)]
        for name, runs in scenarios.items()
    ]
    note = (
        '<p class="note">Means over the seeds, ± half of the 95% interval (Student\'s t). Latencies are of this machine, and '
        "of runs that may have shared it.</p>"
    )
    return _table([_th("scenario"), _th("seeds", "n"), *map(_heading, FIGURES)], rows) + note


def run_table(results: Runs, out: Path) -> str:
    rows = []
    for run in results:
        figures = [value(run, f) for f in FIGURES]
        cells = [_td("-" if v is None else f"{v:.{f.digits}f}", "n") for v, f in zip(figures, FIGURES)]
        wall = run["metrics"].get("wall_s", "-")
        rows.append([
            _td(run["name"]), _td(run["seed"], "n"), _verdict(run["ok"]), *cells, _td(wall, "n"),
            f'<td class="f">{_links(run, out)}</td>',
        ])  # fmt: skip
    head = [_th("scenario"), _th("seed", "n"), _th(""), *map(_heading, FIGURES), _th("wall time [s]", "n"), _th("files")]
    return _table(head, rows)


def ablation(scenarios: Mapping[str, Runs], out: Path) -> str:
    found = ablations_of(scenarios)
    if not found:
        return ""
    bars = {name: ablation_bars(parts) for name, parts in found.items()}
    return ablation_table(found, out) + _folded({n: _picture(f"{n}: scores without each part", b) for n, b in bars.items() if b})


def detection(scenarios: Mapping[str, Runs]) -> str:
    """All runs together, then each scenario's."""
    kept = {
        name: [r["metrics"]["detection_by_range"] for r in runs if isinstance(r["metrics"].get("detection_by_range"), dict)]
        for name, runs in scenarios.items()
    }
    whole = by_range(pooled(rows for found in kept.values() for rows in found))
    if whole is None:
        return ""
    each = {name: by_range(pooled(found)) for name, found in kept.items()} if len(kept) > 1 else {}
    title = "detection by range and class"
    return _picture(title, whole) + _folded({n: _picture(f"{n}: {title}", f) for n, f in each.items() if f}, closed=True)


def timelines(scenarios: Mapping[str, Runs], out: Path) -> str:
    """Of one run of each scenario, as for the maps; those with faults first."""
    found = [(title, timeline(tracks.series, faults_of(run["metrics"])), run) for title, run, tracks in _one_of_each(scenarios, out)]
    found.sort(key=lambda f: not faults_of(f[2]["metrics"]))
    return _folded({title: _picture(f"{title}: faults and reactions", figure) for title, figure, _ in found if figure})


def traffic_maps(scenarios: Mapping[str, Runs], out: Path) -> str:
    maps = {title: tracks for title, _, tracks in _one_of_each(scenarios, out)[:MAX_MAPS]}
    if not maps:
        return ""
    waited = waits(maps)
    return _picture("where robots spent their time", traffic(maps)) + (_picture("where robots waited", waited) if waited else "")


def _one_of_each(scenarios: Mapping[str, Runs], out: Path) -> list[tuple[str, Mapping[str, Any], Tracks]]:
    """One run of each scenario that left its tracks; one that failed is the one to look at."""
    found = []
    for name, runs in scenarios.items():
        for run in sorted(runs, key=lambda r: bool(r["ok"])):
            tracks = load_tracks(out / run["folder"] / "tracks.npz")
            if tracks is not None:
                found.append((f"{name}, seed {run['seed']}", run, tracks))
                break
    return found


def _folded(pictures: Mapping[str, str], closed: bool = False) -> str:
    """Each under its title; one alone is open unless `closed`."""
    opened = " open" if len(pictures) == 1 and not closed else ""
    shown = list(pictures.items())[:MAX_FOLDED]
    more = f"<p>{len(pictures) - MAX_FOLDED} more are left out.</p>" if len(pictures) > MAX_FOLDED else ""
    return "".join(f"<details{opened}><summary>{html.escape(t)}</summary>{p}</details>\n" for t, p in shown) + more


def _spread(gates: Sequence[Mapping[str, Any]]) -> str:
    """The values of a gate over the seeds, and its limit: "18 to 20 (limit 18)"."""
    parts = []
    for key in ("value", "limit"):
        found = [g[key] for g in gates]
        numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in found)
        ends = [shown(v) for v in (sorted(set(found)) if numbers else dict.fromkeys(found))]
        parts.append(f"{ends[0]} to {ends[-1]}" if numbers and len(ends) > 1 else ", ".join(ends))
    return f"{parts[0]} (limit {parts[1]})"


def _mean(found: Sequence[float], figure: Figure) -> str:
    if not found:
        return "-"
    mean, half = mean_t(found)
    width = "" if half is None else f' <span class="ci">± {half:.{figure.digits}f}</span>'
    return f"{mean:.{figure.digits}f}{width}"


def _heading(figure: Figure) -> str:
    return _th(f"{figure.title} [{figure.unit}]" if figure.unit else figure.title, "n")


def _links(run: Mapping[str, Any], out: Path) -> str:
    found = [(title, f"{run['folder']}/{name}") for title, name in LINKS if (out / run["folder"] / name).exists()]
    return "&nbsp; ".join(f'<a href="{quote(path)}">{title}</a>' for title, path in found)


def _td(content: Any, kind: str = "") -> str:
    return f'<td class="{kind}">{html.escape(str(content))}</td>' if kind else f"<td>{html.escape(str(content))}</td>"


def _th(content: str, kind: str = "") -> str:
    return f'<th class="{kind}">{html.escape(content)}</th>' if kind else f"<th>{html.escape(content)}</th>"


def _verdict(ok: bool) -> str:
    return _td("pass" if ok else "FAIL", "ok" if ok else "bad")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = "\n".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{"".join(head)}</tr>\n{lines}</table></div>'


def _picture(alt: str, figure: Any) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, bbox_inches="tight")
    return f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">'


def _page(results: Runs, scenarios: int, body: str) -> str:
    passed = sum(bool(r["ok"]) for r in results)
    verdict = "PASS" if passed == len(results) else "FAIL"
    low, high = wilson(passed, len(results))
    parts = [p for r in results for p in (r, *r.get("ablation", {}).values())]
    wall = sum(float(p.get("metrics", p).get("wall_s", 0.0)) for p in parts)
    many = "scenario" if scenarios == 1 else "scenarios"
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Aislewise validation: {verdict}</title>
<style>{_STYLE}</style>
<h1>Validation: <span class="{"ok" if verdict == "PASS" else "bad"}">{verdict}</span></h1>
<p>{passed} of {len(results)} runs of {scenarios} {many} passed all gates ({100 * low:.0f} to {100 * high:.0f} %
of all seeds would, at 95% confidence); {wall / 60:.1f} minutes of simulation.</p>
{body}</html>
"""
