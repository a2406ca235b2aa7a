"""What the network claims on real sweeps it was not trained for, by class and score.

    python -m benchmarks.real_scans [--data ../shared/data] [--json FILE]

Reads an Ouster OS-1-32 and OS-1-128 street sweep and two PCL room scans. They hold no labels: see the model
card for which claims are false.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cli.detect import detect

SURE = 0.5


def claims(points: Path, meta: Path | None) -> dict[str, Any]:
    found = detect(points, meta)
    return {
        "file": points.name,
        "objects": len(found["objects"]),
        f"objects_above_{SURE}": sum(o["score"] > SURE for o in found["objects"]),
        "classes": dict(Counter(o["class"] for o in found["objects"])),
        "latency_ms": found["latency_ms"],
        "floor": found["floor"],
        "claims": found["objects"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    sweeps = [(p, None) for p in sorted(args.data.glob("pcl/*.pcd"))]
    for pcap in sorted(args.data.glob("ouster/*.pcap")):
        metas = [m for m in pcap.parent.glob("*.json") if pcap.name.startswith(m.stem)]
        sweeps += [(pcap, metas[0])] if metas else []
    if not sweeps:
        print(f"no sweeps under {args.data}", file=sys.stderr)
        return 0
    results = [claims(*sweep) for sweep in sweeps]
    for r in results:
        print(f"{r['file']:40s} {r['objects']:3d} claims, {r[f'objects_above_{SURE}']} above {SURE}: {r['classes']}")
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
