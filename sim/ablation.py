"""What each part of the stack is worth: the same shift without it, and whether it got measurably worse.

A part without which nothing gets worse was not needed: then the scenario is too easy, and the gate
`ablation_<part>_hurts` fails.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aislewise.errors import InputError
from sim.intervals import mean_t

ABLATIONS = {
    "camera": "no picture reaches the network of any robot",
    "lidar": "no cloud reaches the network of any robot",
    "words": "the instruction is said, and nobody listens",
    "tracking": "the world is what each robot's last frame shows",
    "replanning": "orders stay with their first robot, and what blocks the way is waited for",
}
"""What may be left out of a run, for all of it and for all robots, and what that means."""
MARK = "~no_"
"""Between the names of a scenario and of what its run goes without."""

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Score:
    """A figure of metrics.json that says how well a shift went. path: its keys; sign: 1 when more is better, -1 when
    less is; a change for the worse counts from `margin` on, and from `share` of the full run's figure on."""

    name: str
    path: tuple[str, ...]
    sign: int
    margin: float
    share: float = 0.0

    def of(self, metrics: Mapping[str, Any]) -> float | None:
        """None where a run has no such figure, or one that is no number."""
        at: Any = metrics
        for key in self.path:
            at = at.get(key) if isinstance(at, Mapping) else None
        return float(at) if isinstance(at, (bool, int, float)) and math.isfinite(at) else None


SCORES = (
    Score("detection_map", ("detection_map",), 1, 0.05),
    Score("orders_done", ("orders_done",), 1, 1.0),
    Score("instruction_done", ("instruction", "done"), 1, 1.0),
    Score("keep_out_entries", ("instruction", "keep_out_entries"), -1, 1.0),
    Score("collisions", ("collisions",), -1, 1.0),
    Score("sim_s", ("sim_s",), -1, 5.0, 0.1),
    Score("waited_s", ("waited_s",), -1, 10.0, 0.25),
    Score("false_blocked_s", ("false_blocked_s",), -1, 30.0, 0.5),
)
"""What counts, declared before any run: what is found, what is delivered, what is obeyed, what is hit, and what it takes."""


def parse_ablations(text: str) -> tuple[str, ...]:
    """Of "camera,words" or "all". Raises InputError."""
    names = tuple(ABLATIONS) if text == "all" else tuple(dict.fromkeys(text.split(",")))
    for name in names:
        check_ablation(name)
    return names


def check_ablation(name: str) -> None:
    if name not in ABLATIONS:
        raise InputError("ablate", f"{name!r:.60}", [*ABLATIONS, "all"])


def changes(full: Sequence[Result], ablated: Sequence[Result]) -> dict[str, dict[str, Any]]:
    """By score, over pairs of runs of the same seed: means of both (`full`, `ablated`), how much worse the ablated
    ones are (`worse_by`, below 0: better), half of the 95% interval of that (`half`, None for one pair), the margin,
    and whether it is `worse`: by the margin at least, and with two pairs or more beyond chance."""
    out = {}
    for score in SCORES:
        found = [(score.of(a["metrics"]), score.of(b["metrics"])) for a, b in zip(full, ablated, strict=True)]
        pairs = [(a, b) for a, b in found if a is not None and b is not None]
        if not pairs:
            continue
        before, after = mean_t([a for a, _ in pairs])[0], mean_t([b for _, b in pairs])[0]
        loss, half = mean_t([score.sign * (a - b) for a, b in pairs])
        margin = max(score.margin, score.share * abs(before))
        out[score.name] = {
            "full": round(before, 4), "ablated": round(after, 4), "worse_by": round(loss, 4),
            "half": None if half is None else round(half, 4), "margin": round(margin, 4),
            "worse": loss >= margin and loss > (half or 0.0),
        }  # fmt: skip
    return out


def fold(results: Sequence[Result]) -> list[dict[str, Any]]:
    """The full runs alone, each with what its ablations showed: `ablation` {part: {hurts, scores, folder, wall_s}} and
    a gate for each part: how many scores got worse, at least one, judged over all seeds of the scenario."""
    parts: dict[tuple[str, str], dict[int, Result]] = {}
    for run in results:
        if run.get("ablate"):
            parts.setdefault((run["name"].removesuffix(MARK + run["ablate"]), run["ablate"]), {})[run["seed"]] = run
    out = [dict(run) for run in results if not run.get("ablate")]
    for (name, part), without in parts.items():
        mine = [run for run in out if run["name"] == name]
        pairs = [
            (run, other) for run in mine
            if (other := without.get(run["seed"])) is not None and "error" not in run and "error" not in other
        ]  # fmt: skip
        scores = changes([a for a, _ in pairs], [b for _, b in pairs])
        for run in mine:
            _attach(run, part, without.get(run["seed"], {}), scores)
    return out


def _attach(run: dict[str, Any], part: str, other: Result, scores: Mapping[str, Mapping[str, Any]]) -> None:
    worse = sum(bool(s["worse"]) for s in scores.values())
    entry = {"hurts": worse > 0, "scores": dict(scores), "folder": other.get("folder", ""),
             "wall_s": other.get("metrics", {}).get("wall_s", 0.0)}  # fmt: skip
    if "error" in other:
        entry["error"] = other["error"]
    run["ablation"] = run.get("ablation", {}) | {part: entry}
    if "error" not in run:
        gate = {"value": worse, "limit": 1, "ok": worse >= 1}
        run["gates"] = run["gates"] | {f"ablation_{part}_hurts": gate}
        run["ok"] = bool(run["ok"] and worse)
