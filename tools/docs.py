"""Writes the reference pages that follow from the code (docs/topics.md, docs/nodes.md, docs/cli.md, docs/scenarios.md,
docs/sensors.md) and takes over the pictures of the last `make demo`."""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

from aislewise import topics
from cli.main import VERBS, parser
from tools.node_docs import nodes_page
from tools.scenario_docs import scenarios_page
from tools.sensor_docs import sensors_page

DOCS = Path(__file__).resolve().parent.parent / "docs"
DEMO = DOCS.parent / "out" / "demo"
PICTURES = {"seen.png": "demo_seen.png", "top_view.png": "demo_top_view.png"}


def topics_page() -> str:
    rows = "\n".join(
        f"| `{t.name}` | `{t.type}` | {t.qos} | {t.rate_hz or 'on event'} | {t.stale_s or '-'} |" for t in topics.TOPICS
    )
    return (
        "# Topics\n\nMade by `make docs` from aislewise/topics.py. Names without a leading slash are relative to the "
        "robot's namespace.\n\n| topic | type | QoS | rate [Hz] | stale after [s] |\n|---|---|---|---|---|\n"
        f"{rows}\n"
    )


def cli_page() -> str:
    os.environ["COLUMNS"] = "100"
    choices = commands(parser(None))
    parts = []
    for verb in VERBS:
        parts.append(f"## aislewise {verb}\n\n```\n{choices[verb].format_help().rstrip()}\n```\n")
        for name, command in commands(choices[verb]).items():
            parts.append(f"### aislewise {verb} {name}\n\n```\n{command.format_help().rstrip()}\n```\n")
    return "# Commands\n\nMade by `make docs`.\n\n" + "\n".join(parts)


def commands(of: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers below a parser, by name."""
    return next((a.choices for a in of._actions if isinstance(a, argparse._SubParsersAction)), {})


def main() -> None:
    pages = {"topics.md": topics_page, "cli.md": cli_page, "nodes.md": nodes_page, "scenarios.md": scenarios_page,
             "sensors.md": sensors_page}  # fmt: skip
    for name, page in pages.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
        print(f"docs/{name}")
    for made, kept in PICTURES.items():
        if (DEMO / made).is_file():
            shutil.copyfile(DEMO / made, DOCS / kept)
            print(f"docs/{kept}")


if __name__ == "__main__":
    main()
