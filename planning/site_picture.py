"""A picture of a site map: free floor, closed cells, every place with its name and heading, lanes, zones and findings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aislewise.errors import InputError
from aislewise.lanes import STEPS
from aislewise.sitemap import SiteMap
from aislewise.types import F64
from planning.distance import Bool
from planning.graph_findings import Finding
from planning.lane_graph import leave_of, neighbours_of

MARKS = {"station": ("s", "#2ca02c"), "charger": ("P", "#9467bd"), "parking": ("o", "#1f77b4"), "pick_face": (".", "#d95f02")}
SHADES = {
    "lost": ("cut off, trap or no way in", ("apart", "trap", "no_entry", "places"), "#d62728"),
    "narrow": ("dead end or narrow passage", ("dead_end", "corridor"), "#ff9896"),
    "neck": ("no way round", ("cut",), "#c49c94"),
    "bay": ("bay of one cell", ("bays",), "#dbdb8d"),
}  # fmt: skip
SLOW, RESERVED, SHUT, ARROW = "#ffd92f", "#9ecae1", "#e31a1c", "#08519c"
MAX_INCHES, DPI, MAX_ARROWS = 40.0, 150, 20_000


def draw_site(site: SiteMap, path: str | Path, findings: Sequence[Finding] = ()) -> None:
    """Writes a PNG; its size follows the site's, up to 6000 pixels a side. findings (planning.graph_check) are shaded."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    r = site.resolution_m
    scale = min(0.3, MAX_INCHES / (max(site.width, site.height) + 8))  # inches a cell
    width, height = site.width * scale + 1.2, site.height * scale + 1.6
    figure = Figure(figsize=(max(4.0, width), max(4.0, height)), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    extent = (site.x_m, site.x_m + site.width * r, site.y_m, site.y_m + site.height * r)
    axes.imshow(~site.free, origin="lower", extent=extent, cmap="Greys", vmin=0, vmax=3.2, interpolation="nearest")
    handles = [*_shade(axes, site, extent, findings), *_zones(axes, site), *_arrows(axes, site, scale)]
    small = scale * 72 / 5.4  # a pick face's name fits beside its neighbour's
    for place in site.places.values():
        marker, colour = MARKS[place.kind]
        face = place.kind == "pick_face"
        x, y = site.centre(place.cell)
        dx, dy = r * math.cos(place.yaw_rad), r * math.sin(place.yaw_rad)
        axes.plot(x, y, marker, color=colour, ms=3 if face else 6, zorder=3)
        axes.plot([x, x + 0.45 * dx], [y, y + 0.45 * dy], color=colour, lw=1)
        away = 1.0  # names of stations in the wall, of parking and what faces sideways in the lane beside
        if not face and (place.kind == "parking" or abs(dx) > abs(dy)):
            away = -0.8 if abs(dy) > abs(dx) else -1.8
        axes.text(x + away * dx, y + away * dy, place.id, fontsize=small if face else 1.6 * small, ha="center", va="center", zorder=4)
    kinds = [k for k in MARKS if site.of_kind(k)]
    handles[:0] = [Line2D([], [], marker=MARKS[k][0], color=MARKS[k][1], ls="", label=f"{k} ({len(site.of_kind(k))})") for k in kinds]
    if handles:
        columns = max(1, min(len(handles), int(width / 1.9)))
        figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=8)
        figure.set_size_inches(max(4.0, width), max(4.0, height) + 0.25 * (math.ceil(len(handles) / columns) - 1))
    axes.set(xlabel="x in map [m]", ylabel="y in map [m]", aspect="equal", xlim=extent[:2], ylim=extent[2:])
    axes.set_title(f"{site.name}: {site.width} x {site.height} cells of {r:g} m", fontsize=9)
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise InputError("out", f"cannot write {path}: {error.strerror}") from None


def _shade(axes: Any, site: SiteMap, extent: tuple[float, ...], findings: Sequence[Finding]) -> list[Any]:
    """Cells coloured by what was found of them, who may enter, and how fast; returns what the legend needs."""
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Patch

    colours = np.zeros((site.height, site.width, 4))
    handles: list[Any] = []
    lanes = site.lanes
    masks: list[tuple[str, str, Bool]] = []
    if lanes is not None and lanes.speed_mps is not None:
        masks.append(("speed limit of lanes", SLOW, (lanes.speed_mps.codes > 0) & site.free))
    if lanes is not None and lanes.only is not None:
        masks.append(("for some robots only", RESERVED, (lanes.only.codes > 0) & site.free))
    for label, kinds, colour in reversed(SHADES.values()):
        mask = np.zeros(site.cells.shape, np.bool_)
        for finding in findings:
            if finding.kind in kinds:
                mask.flat[finding.cells] = True
        masks.append((label, colour, mask))
    for label, colour, mask in masks:
        if mask.any():
            colours[mask] = to_rgba(colour, 0.55)
            handles.append(Patch(color=to_rgba(colour, 0.55), label=label))
    if handles:
        axes.imshow(colours, origin="lower", extent=extent, interpolation="nearest", zorder=1)
    return handles


def _zones(axes: Any, site: SiteMap) -> list[Any]:
    """Outlines of zones, dashed if they hold at times only, with their names."""
    from matplotlib.patches import Polygon

    kinds: dict[str, Any] = {}
    for zone in site.zones:
        shut = zone.kind == "keep_out"
        timed = zone.from_s is not None or zone.to_s is not None
        colour = SHUT if shut else "#b8860b"
        said = "keep-out zone" if shut else "slow zone"
        patch = Polygon(
            zone.polygon, closed=True, fill=False, edgecolor=colour, hatch="xx" if shut else "//", lw=1.5,
            ls="--" if timed else "-", zorder=2, alpha=0.7, label=f"{said}{' at times' if timed else ''}",
        )  # fmt: skip
        axes.add_patch(patch)
        kinds.setdefault(str(patch.get_label()), patch)
        x, y = (sum(v) / len(zone.polygon) for v in zip(*zone.polygon))
        text = zone.id if shut else f"{zone.id}, {zone.speed_mps:g} m/s"
        axes.text(x, y, text, fontsize=7, color=colour, ha="center", va="center", zorder=5, clip_on=True, bbox={"fc": "white", "ec": "none", "alpha": 0.7, "pad": 1})
    return list(kinds.values())


def _arrows(axes: Any, site: SiteMap, scale: float) -> list[Any]:
    """An arrow across each edge that is driven one way; on large sites a share of them. scale: inches a cell."""
    from matplotlib.lines import Line2D

    moves = _one_way(site)
    if not len(moves):
        return []
    moves = moves[:: math.ceil(len(moves) / MAX_ARROWS)]
    r = site.resolution_m
    middle, ahead = moves[:, :2] + 0.5 * r * moves[:, 2:], 0.62 * r * moves[:, 2:]
    axes.quiver(
        *(middle - 0.5 * ahead).T, *ahead.T, angles="xy", scale_units="xy", scale=1, units="inches", width=0.06 * scale,
        headwidth=5, headlength=5, headaxislength=4.5, color=ARROW, zorder=2.5,
    )  # fmt: skip
    return [Line2D([], [], marker=">", color=ARROW, ls="-", lw=1, label="one way")]


def _one_way(site: SiteMap) -> F64:
    """(n, 4) float64: x and y of the centre of each free cell left for a neighbour from which there is no way back, and
    the direction of that."""
    leave = leave_of(site)
    if leave is None:
        return np.zeros((0, 4))
    nbr = neighbours_of(site.free, leave)
    start, way = np.nonzero(nbr >= 0)
    end = nbr[start, way]
    single = ~(nbr[end] == start[:, None]).any(axis=1)
    start, end = start[single], end[single]
    step = end - start
    rows, cols = (np.select([step == s[0] * site.width + s[1] for s in STEPS], [s[k] for s in STEPS]) for k in (0, 1))
    return np.concatenate([site.centres()[start], np.stack([cols, rows], axis=1)], axis=1)
