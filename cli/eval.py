"""`aislewise eval`: figures of the network on worlds it was not trained on, whole and with a sensor gone."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def add(subparsers: Any) -> None:
    p = subparsers.add_parser("eval", help="measure the model on unseen worlds", description=__doc__)
    p.add_argument("--weights", type=Path, default=None, help="folder or ONNX file; default: the packaged ones")
    p.add_argument("--data", type=Path, default=Path("out/data/test"), help="shards; made when absent")
    p.add_argument("--frames", type=int, default=400)
    p.add_argument("--json", metavar="FILE")
    p.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    from itertools import islice

    from rich.progress import track

    from cli.train import TEST_SEED
    from fusion.evaluate import evaluate
    from fusion.infer import Detector
    from sim.dataset import read_shards, write_shards

    detector = Detector(args.weights)
    write_shards(args.data, TEST_SEED, args.frames)
    samples = islice(read_shards(args.data), args.frames)
    result = evaluate(detector, track(samples, total=args.frames, description="frames"))
    for mode, figures in result.items():
        shares = "  ".join(f"{k} {v}" for k, v in figures.items() if not isinstance(v, dict))
        print(f"{mode:7s} {shares}")
        print(" " * 8 + "  ".join(f"{k} {v}" for k, v in figures["per_class"].items()))
    if args.json:
        Path(args.json).write_text(json.dumps({"ok": True, "frames": args.frames, **result}, indent=1) + "\n")
    return 0
