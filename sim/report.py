"""The report of a shift: one self-contained HTML page of pictures and tables."""

from __future__ import annotations

import base64
import html
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aislewise.clock import to_s
from aislewise.geometry import rectangle
from aislewise.types import CameraModel, Colour, Detection, ObjectClass, OrderState, Pose2D
from sim.range_plots import by_range
from sim.timeline_plots import faults_of
from sim.timeline_plots import timeline as reactions

if TYPE_CHECKING:
    from sim.shift import Shift

CLASS_COLOURS = {
    ObjectClass.PERSON: "#d62728", ObjectClass.FORKLIFT: "#ff7f0e", ObjectClass.PALLET: "#8c564b",
    ObjectClass.TOTE: "#1f77b4", ObjectClass.ROBOT: "#7f7f7f", ObjectClass.BOX: "#bc8f5f",
    ObjectClass.WET_FLOOR: "#17becf",
}
STATE_COLOURS = {
    OrderState.RECEIVED: "#c7c7c7", OrderState.PLANNED: "#aec7e8", OrderState.ASSIGNED: "#1f77b4",
    OrderState.RUNNING: "#ff7f0e", OrderState.CANCELLING: "#9467bd",
}
_EDGES = [(0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7)]


def write_report(shift: Shift, metrics: dict[str, Any], path: Path) -> None:
    """Draws everything and writes the page; the first two pictures also go beside it."""
    import matplotlib

    matplotlib.use("Agg")
    sections = [
        ("The shift from above", top_view(shift)),
        ("What one robot saw", seen(shift)),
        ("Orders over time", timeline(shift)),
        ("Faults and reactions", reactions(shift.series(), faults_of(metrics))),
        ("Detection by range and class", by_range(metrics.get("detection_by_range", {}))),
        ("Latencies", latencies(shift)),
    ]
    images = [(title, _png(figure)) for title, figure in sections if figure is not None]
    path.write_text(_page(metrics, images), encoding="utf-8")
    for (_, png), name in zip(images, ("top_view.png", "seen.png")):
        (path.parent / name).write_bytes(png)


FEW, MANY_ORDERS = 24, 80
"""Robots whose names fit into a picture; orders from which each has a thin line without a name."""


def top_view(shift: Shift) -> Any:
    """Racks, places, released routes (wide), driven tracks, people's paths (dotted), tracked objects, cells that
    were seen to be blocked (crosses), keep-outs (hatched)."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Polygon

    site, state = shift.world.site, shift.world_node.last_state
    few = len(shift.observer.tracks) <= FEW  # of a large fleet names, routes and thick lines would cover everything
    figure = Figure(figsize=(9, 12.5) if few else (14, 14 * site.height / site.width + 1), layout="constrained")
    axes = figure.subplots()
    extent = (site.x_m, site.x_m + site.width * site.resolution_m, site.y_m, site.y_m + site.height * site.resolution_m)
    axes.imshow(~site.free, origin="lower", extent=extent, cmap="Greys", vmin=0, vmax=2.2)
    for track in shift.observer.bodies.values():
        t = np.asarray(track)
        axes.plot(t[:, 1], t[:, 2], ":", color="#d62728", lw=0.7, alpha=0.6)
    palette = matplotlib_palette(len(shift.observer.tracks))
    for cell in shift.observer.blocked:
        x, y = site.centre(cell)
        axes.plot(x, y, "x", color="#ff7f0e", ms=5, mew=1.5, zorder=4)
    for (name, track), colour in zip(shift.observer.tracks.items(), palette):
        t = np.asarray(track)
        route = np.array([xy for _, xy in sorted(shift.observer.routes.get(name, {}).items())]).reshape(-1, 2)
        if few:
            axes.plot(route[:, 0], route[:, 1], color=colour, lw=5, alpha=0.15)
        axes.plot(t[:, 1], t[:, 2], color=colour, lw=1.4 if few else 0.5, alpha=1.0 if few else 0.4, label=name)
        axes.plot(*t[-1, 1:], "o", color=colour, ms=7 if few else 2.5, mec="black", mew=1.0 if few else 0.3)
    for place in site.places.values():
        marker, colour = {"station": ("s", "#2ca02c"), "charger": ("P", "#9467bd")}.get(place.kind, (".", "#c7c7c7"))
        axes.plot(place.x_m, place.y_m, marker, color=colour, ms=3 if marker == "." else 9 if few else 4, zorder=3)
        if marker != "." and few:
            axes.annotate(place.id, (place.x_m, place.y_m), fontsize=7, xytext=(4, 4), textcoords="offset points")
    if state is not None:
        for obj in state.objects:
            corners = rectangle(Pose2D(obj.position[0], obj.position[1], obj.yaw_rad), obj.size[0], obj.size[1])
            axes.add_patch(Polygon(corners, closed=True, fc=CLASS_COLOURS[obj.cls], ec="black", lw=0.5, alpha=0.9))
        for keep_out in state.keep_outs:
            axes.add_patch(Polygon(keep_out.polygon, closed=True, fill=False, ec="#17becf", hatch="//", lw=1.2))
    axes.set(xlabel="x in map [m]", ylabel="y in map [m]", aspect="equal")
    if few:
        axes.legend(loc="upper center", ncols=6, fontsize=8, bbox_to_anchor=(0.5, 1.04))
    return figure


def matplotlib_palette(n: int) -> list[Any]:
    from matplotlib import colormaps

    return [colormaps["tab10"](i % 10) for i in range(n)]


def seen(shift: Shift) -> Any:
    """One robot's camera and lidar with the fused objects drawn in."""
    from matplotlib.figure import Figure

    snapshot = shift.observer.snapshot
    if snapshot is None:
        return None
    figure = Figure(figsize=(13, 5.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[4, 3])
    left.imshow(snapshot.image)
    for detection in snapshot.detections:
        _draw_in_image(left, detection, shift.world.camera)
    height, width = snapshot.image.shape[:2]
    left.set(xlim=(0, width), ylim=(height, 0), title=f"{snapshot.robot}, camera, t = {snapshot.t_s:.1f} s")
    left.axis("off")
    near = snapshot.points[(np.abs(snapshot.points[:, :2]) < 12.8).all(axis=1)]
    right.scatter(near[:, 1], near[:, 0], c=np.clip(near[:, 2], 0, 2), s=0.4, cmap="viridis")
    for detection in snapshot.detections:
        corners = _corners(detection)[:4]
        closed = np.vstack([corners, corners[:1]])
        right.plot(closed[:, 1], closed[:, 0], color=CLASS_COLOURS[detection.cls], lw=1.8)
        right.annotate(_label(detection), (closed[0, 1], closed[0, 0]), fontsize=7, color=CLASS_COLOURS[detection.cls])
    right.plot(0, 0, "k^", ms=8)
    right.set(xlim=(12.8, -12.8), ylim=(-12.8, 12.8), aspect="equal", title="lidar from above, x up [m]")
    return figure


def _corners(detection: Detection) -> np.ndarray:
    """(8, 3) corners in base_link, the lower four first."""
    x, y, z = (float(v) for v in detection.position)
    base = rectangle(Pose2D(x, y, detection.yaw_rad), float(detection.size[0]), float(detection.size[1]))
    half = float(detection.size[2]) / 2
    return np.vstack([np.c_[base, np.full(4, z - half)], np.c_[base, np.full(4, z + half)]])


def _draw_in_image(axes: Any, detection: Detection, camera: CameraModel) -> None:
    points = np.c_[_corners(detection), np.ones(8)] @ np.linalg.inv(camera.T_base_camera).T
    if (points[:, 2] < 0.2).any():
        return
    pixels = points[:, :3] @ camera.K.T
    pixels = pixels[:, :2] / pixels[:, 2:]
    if (pixels.max(axis=0) < 0).any() or (pixels.min(axis=0) > (camera.width, camera.height)).any():
        return
    colour = CLASS_COLOURS[detection.cls]
    for a, b in _EDGES:
        axes.plot(*pixels[[a, b]].T, color=colour, lw=1.2, clip_on=True)
    x, y = pixels.min(axis=0)
    axes.text(max(x, 2), max(y, 8), _label(detection), color="white", fontsize=7, bbox={"fc": colour, "ec": "none", "pad": 1})


def _label(detection: Detection) -> str:
    name = detection.cls.name.lower().replace("_", " ")
    if detection.cls is ObjectClass.TOTE:
        name = f"{Colour(int(np.argmax(detection.colour_probs))).name.lower()} {name}"
    if detection.cls is ObjectClass.PERSON:
        name += " (vest)" if detection.attributes[0] > 0.5 else ""
    if detection.cls is ObjectClass.PALLET:
        name += " (loaded)" if detection.attributes[1] > 0.5 else " (empty)"
    return f"{name} {detection.score:.2f}"


def timeline(shift: Shift) -> Any:
    """Each order from release to its final state."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    records = sorted(shift.records(), key=lambda r: (r.order.release_ns, r.order.order_id))
    events: dict[str, list[Any]] = {}
    for event in shift.order_events():
        events.setdefault(event.order_id, []).append(event)
    few = len(records) <= MANY_ORDERS
    figure = Figure(figsize=(11, (0.3 if few else 0.03) * len(records) + 1.5), layout="constrained")
    axes = figure.subplots()
    for row, record in enumerate(records):
        history = events.get(record.order.order_id, [])
        for a, b in zip(history, history[1:]):
            colour = STATE_COLOURS.get(a.state, "#2ca02c")
            axes.barh(row, to_s(b.stamp_ns - a.stamp_ns), left=to_s(a.stamp_ns), color=colour, height=0.7 if few else 1.0)
        if record.state.final:
            mark = "o" if record.state is OrderState.DONE else "x"
            axes.plot(to_s(record.updated_ns), row, mark, color="#2ca02c" if mark == "o" else "#d62728", ms=6 if few else 2)
        if record.order.due_ns:
            axes.plot(to_s(record.order.due_ns), row, "|", color="black", ms=9 if few else 2)
    if few:
        axes.set_yticks(range(len(records)), [f"{r.order.order_id} ({r.robot or '-'})" for r in records], fontsize=7)
    else:
        axes.set(ylabel="orders by release")
    axes.set(xlabel="simulated time [s]; | = due", xlim=(0, None))
    axes.invert_yaxis()
    axes.legend(handles=[Patch(color=c, label=s.value) for s, c in STATE_COLOURS.items()], ncols=5, fontsize=8)
    return figure


def latencies(shift: Shift) -> Any:
    """Distributions of the network's and the planner's time per call."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, name, values in (
        (left, "fusion: network and decoding", np.concatenate([np.zeros(0), *(np.asarray(n.fusion_ms) for n in shift.fusion)])),
        (right, "planner step", np.asarray(shift.process.all_plan_ms())),
    ):
        if len(values):
            top = np.percentile(values, 99.5)
            axes.hist(np.clip(values, 0, top), bins=60, color="#1f77b4")
            axes.axvline(np.median(values), color="black", lw=1)
        axes.set(title=name, xlabel="ms", ylabel="calls")
    return figure


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90, bbox_inches="tight")
    return buffer.getvalue()


def _page(metrics: dict[str, Any], images: list[tuple[str, bytes]]) -> str:
    verdict = "PASS" if metrics["ok"] else "FAIL"
    gates = "".join(
        f"<tr class={'ok' if g['ok'] else 'bad'}><td>{html.escape(name)}</td><td>{g['value']}</td>"
        f"<td>{g['limit']}</td><td>{'pass' if g['ok'] else 'fail'}</td></tr>"
        for name, g in metrics["gates"].items()
    )
    figures = "".join(
        f"<tr><td>{html.escape(k)}</td><td>{html.escape(json.dumps(v, default=float))}</td></tr>"
        for k, v in metrics.items()
        if k not in ("gates", "ok", "detection_by_range")
    )
    pictures = "".join(
        f'<h2>{html.escape(title)}</h2><img alt="{html.escape(title)}" '
        f'src="data:image/png;base64,{base64.b64encode(png).decode()}">'
        for title, png in images
    )
    return f"""<!doctype html><html lang="en"><meta charset="utf-8">
<title>Aislewise shift {html.escape(str(metrics["scenario"]))}: {verdict}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em; color: #222 }}
img {{ max-width: 100%; border: 1px solid #ddd }} table {{ border-collapse: collapse; margin: 1em 0 }}
td, th {{ border-bottom: 1px solid #ddd; padding: .25em .8em; text-align: left; vertical-align: top }}
.ok td:last-child {{ color: #2ca02c; font-weight: 600 }} .bad td {{ color: #d62728; font-weight: 600 }}
</style>
<h1>Shift {html.escape(str(metrics["scenario"]))}, seed {metrics["seed"]}: {verdict}</h1>
<table><tr><th>gate</th><th>value</th><th>limit</th><th></th></tr>{gates}</table>
{pictures}
<h2>Figures</h2><table>{figures}</table></html>
"""
