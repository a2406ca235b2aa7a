"""The reference page of the nodes: parameters from their config dataclasses, lifecycle, diagnostics."""

from __future__ import annotations

from typing import Any

from cli.ros import activate

INTRO = """# Nodes

Made by `make docs` from the nodes' config dataclasses.

`live` parameters may be changed while the node runs (`ros2 param set`); a refused change names the field and its
limit. The others are read-only.

**Lifecycle.** `fusion`, `world` and `planner` are managed nodes. With `autostart` (default) they configure and
activate themselves; with `autostart:=false` a lifecycle manager does, or `ros2 lifecycle set`. Deactivated, fusion
detects nothing, world publishes no state, and the planner releases nothing: robots run to the end of what is
released to them and stand. Orders are accepted and answered from configure to cleanup; nothing accepted is lost.

**Diagnostics.** Every node publishes `/diagnostics` once a second of its own (ROS) clock while somebody listens; the
names are `<node>: <concern>`. `callbacks`: how long they take; `input <topic>`: rate, silence and refusals of each
subscribed topic (STALE: nothing ever came; ERROR: silent for longer than docs/topics.md allows; WARN: slow, or
refused within the last 10 s); `lifecycle`; fusion: `model`, `pose`; world: `world`; planner: `planner`, `orders`,
`checker`, `store`, `service`; nav2_adapter: `navigation`.
"""


def nodes_page() -> str:
    activate("always")
    from aislewise.managed import ManagedConfig
    from cli.robots import RobotsConfig
    from fusion.fusion_node import FusionNodeConfig
    from fusion.world_node import WorldNodeConfig
    from perception.lidar import LidarConfig
    from planning.config import PlannerConfig
    from planning.nav2 import FollowConfig
    from planning.nav2_node import Nav2NodeConfig
    from planning.planner_node import PlannerNodeConfig
    from sim.sim_node import SimNodeConfig

    nodes: dict[str, tuple[type[Any], ...]] = {
        "lidar": (LidarConfig,), "fusion": (ManagedConfig, FusionNodeConfig),
        "world": (ManagedConfig, WorldNodeConfig), "planner": (ManagedConfig, PlannerNodeConfig, PlannerConfig),
        "nav2_adapter": (Nav2NodeConfig, FollowConfig), "robots": (RobotsConfig,), "sim": (SimNodeConfig,),
    }  # fmt: skip
    parts = [INTRO, "`camera` and `instruction` have no parameters of their own.\n"]
    return "\n".join(parts + [_table(name, configs) for name, configs in nodes.items()])


def _table(name: str, configs: tuple[type[Any], ...]) -> str:
    from aislewise.settings import settings_of

    rows = []
    for config in configs:
        for field, (kind, default, about) in settings_of(config).items():
            limits = "-" if about.low is None else f"{about.low:g} to {about.high:g}"
            shown = repr(default).lower() if kind is bool else f'"{default}"' if kind is str else f"{default:g}"
            live = "live" if about.live else ""
            rows.append(f"| `{field}` | {kind.__name__} | {shown} | {limits} | {live} | {about.about} |")
    head = "| parameter | type | default | limits | | meaning |\n|---|---|---|---|---|---|"
    return f"## {name}\n\n{head}\n" + "\n".join(rows) + "\n"
