"""`aislewise train`: makes training frames with the simulator, then trains the compact model on them."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

TRAIN_SEED, TEST_SEED = 1, 900_001
"""Worlds of different seeds share no layout, objects or light."""


def add(subparsers: Any) -> None:
    p = subparsers.add_parser("train", help="train the compact model", description=__doc__)
    p.add_argument("--out", type=Path, default=Path("out/train"))
    p.add_argument("--data", type=Path, default=Path("out/data/train"), help="shards; made when absent")
    p.add_argument("--frames", type=int, default=2000)
    p.add_argument("--epochs", type=int, default=8)
    p.add_argument("--batch", type=int, default=8)
    p.add_argument("--minutes", type=float, default=None, help="stop (resumable) after this time")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--sensors", choices=("both", "lidar", "camera"), default="both", help="one = a baseline")
    p.add_argument("--bf16", action="store_true", help="mixed precision: twice as fast where the CPU has it")
    p.add_argument("--init", type=Path, help="start from the weights of this checkpoint: fine-tuning")
    p.add_argument("--rate", type=float, default=3e-3, help="largest learning rate")
    p.add_argument("--data-seed", type=int, default=TRAIN_SEED, help="worlds to make frames in")
    p.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    p.add_argument("--json", metavar="FILE")
    p.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    # One thread per process is fastest on a shared machine; the setting counts before torch loads.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from rich.progress import Progress, TextColumn, TimeRemainingColumn

    from fusion.dataset import load
    from fusion.grid import BevConfig
    from fusion.train import TrainConfig, train
    from sim.dataset import read_shards, write_shards

    columns = (*Progress.get_default_columns()[:-1], TimeRemainingColumn(), TextColumn("{task.fields[state]}"))
    with Progress(*columns) as bar:
        making = bar.add_task("frames", total=args.frames, state="")
        write_shards(args.data, args.data_seed, args.frames, lambda done, _: bar.update(making, completed=done))
        examples = load(read_shards(args.data), BevConfig())
        config = TrainConfig(
            epochs=args.epochs,
            batch=args.batch,
            seed=args.seed,
            sensors=args.sensors,
            bfloat16=args.bf16,
            learning_rate=args.rate,
        )
        training = bar.add_task("training", total=None, state="")
        history: list[dict[str, float]] = []

        def report(step: int, steps: int, losses: dict[str, float]) -> None:
            history.append(losses)
            if step % 10 == 0:
                text = "  ".join(f"{k} {v:.3f}" for k, v in losses.items())
                bar.update(training, completed=step, total=steps, state=text)
                if not bar.console.is_terminal:
                    print(f"step {step}/{steps}  {text}", flush=True)

        path = train(
            examples, args.out, config, init=args.init, resume=args.resume, minutes=args.minutes, report=report
        )
    if args.json:
        result = {"ok": True, "checkpoint": str(path), "steps": len(history), "losses": history[-1] if history else {}}
        Path(args.json).write_text(json.dumps(result, indent=1) + "\n")
    return 0
