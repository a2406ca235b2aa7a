"""A picture of a site map: free floor, closed cells, and every place with its name and heading."""

from __future__ import annotations

import math
from pathlib import Path

from aislewise.errors import InputError
from aislewise.sitemap import SiteMap

MARKS = {"station": ("s", "#2ca02c"), "charger": ("P", "#9467bd"), "parking": ("o", "#1f77b4"), "pick_face": (".", "#d95f02")}
MAX_INCHES, DPI = 40.0, 150


def draw_site(site: SiteMap, path: str | Path) -> None:
    """Writes a PNG; its size follows the site's, up to 6000 pixels a side."""
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
    if kinds:
        handles = [Line2D([], [], marker=MARKS[k][0], color=MARKS[k][1], ls="", label=f"{k} ({len(site.of_kind(k))})") for k in kinds]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(kinds), fontsize=8)
    axes.set(xlabel="x in map [m]", ylabel="y in map [m]", aspect="equal")
    axes.set_title(f"{site.name}: {site.width} x {site.height} cells of {r:g} m", fontsize=9)
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise InputError("out", f"cannot write {path}: {error.strerror}") from None
