"""`aislewise export`: a trained checkpoint to the ONNX files that robots run."""

from __future__ import annotations

import argparse
import json
import logging
import warnings
from pathlib import Path
from typing import Any


def add(subparsers: Any) -> None:
    p = subparsers.add_parser("export", help="export the model to ONNX", description=__doc__)
    p.add_argument("--checkpoint", type=Path, default=Path("out/train/checkpoint.pt"))
    p.add_argument("--out", type=Path, default=Path("fusion/weights"))
    p.add_argument("--json", metavar="FILE")
    p.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    from aislewise.errors import InputError
    from fusion.export import export

    if not args.checkpoint.is_file():
        raise InputError("checkpoint", f"{args.checkpoint} does not exist")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")  # the exporter warns about packages we do not use
    files = export(args.checkpoint, args.out)
    sizes = {path.name: path.stat().st_size for path in files}
    for name, size in sizes.items():
        print(f"{args.out / name}  {size / 1e6:.2f} MB")
    if args.json:
        Path(args.json).write_text(json.dumps({"ok": True, "files": sizes}, indent=1) + "\n")
    return 0
