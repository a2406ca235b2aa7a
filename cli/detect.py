"""`aislewise detect`: one lidar sweep (and camera image) in, fused objects out, in the lidar's frame.

The network works above a floor at z = 0. Where the lidar stands above it comes from --sensor-height,
else from a calibration that states T_base_lidar, else from the cloud's floor plane.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aislewise.errors import InputError

if TYPE_CHECKING:
    from aislewise.types import F32, F64, CameraModel, Detection, SensorFrame
    from perception.calibration import Calibration

MAX_IMAGE_BYTES = 64_000_000


def add(subparsers: Any) -> None:
    p = subparsers.add_parser("detect", help="one lidar (and camera) frame in, fused objects out",
                              description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    p.add_argument("--points", type=Path, required=True, metavar="FILE", help="KITTI .bin, .pcd, .npz, Ouster .pcap")
    p.add_argument("--meta", type=Path, metavar="FILE", help="metadata json of an Ouster .pcap")
    p.add_argument("--sweep", type=int, default=0, metavar="N", help="which sweep of a .pcap (default 0)")
    p.add_argument("--image", type=Path, metavar="FILE", help="jpeg or png taken with the sweep")
    p.add_argument("--calib", type=Path, metavar="FILE", help="KITTI calibration text or YAML; needed with --image")
    p.add_argument("--sensor-height", type=float, metavar="M", help="lidar above the floor (default: estimated)")
    p.add_argument("--score", type=float, default=0.3, metavar="P", help="weakest claim to report (default 0.3)")
    p.add_argument("--weights", type=Path, metavar="FILE", help="ONNX file (default: the packaged one)")
    p.add_argument("--json", metavar="FILE", help="write the result there as well")
    p.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    result = detect(
        args.points, args.meta, args.sweep, args.image, args.calib, args.sensor_height, args.score, args.weights
    )
    show(result)
    if args.json:
        Path(args.json).write_text(json.dumps(result, indent=1) + "\n")
    return 0


def detect(
    points: Path,
    meta: Path | None = None,
    sweep: int = 0,
    image: Path | None = None,
    calib: Path | None = None,
    sensor_height_m: float | None = None,
    score: float = 0.3,
    weights: Path | None = None,
) -> dict[str, Any]:
    """The whole path for one frame; the result is ready for JSON. latency_ms: the network with its
    pre- and post-processing, on the second of two runs (the first one warms up)."""
    from fusion.infer import Detector
    from perception.lidar import LidarConfig, model_points
    from perception.readers import read_sweep

    raw = read_sweep(points, meta, sweep)
    calibration = read_calibration(image, calib)
    T_base_lidar, floor = mount(raw.points, calibration, sensor_height_m)
    config = LidarConfig(min_range_m=0.5, body=(0.0, 0.0, 0.0))  # whose body, a file does not say
    cloud, counts = model_points(raw.points, T_base_lidar, config)
    frame = sensor_frame(cloud, image, calibration, T_base_lidar, raw.stamp_ns)
    detector = Detector(weights, score_threshold=score)
    detector.detect(frame)
    started = time.perf_counter()
    found = detector.detect(frame)
    latency_ms = (time.perf_counter() - started) * 1e3
    return {
        "objects": [to_json(d, T_base_lidar, image is not None) for d in found],
        "latency_ms": round(latency_ms, 2),
        "floor": floor,
        "points": {"received": counts.received, "used": counts.kept, "not_finite": counts.not_finite,
                   "out_of_range": counts.out_of_range, "capped": counts.capped},
    }  # fmt: skip


def read_calibration(image: Path | None, calib: Path | None) -> Calibration | None:
    from perception.calibration import load_calibration

    if image is not None and calib is None:
        raise InputError("calib", "an image needs a calibration: give --calib")
    return None if calib is None else load_calibration(calib)


def mount(
    points: F32, calibration: Calibration | None, sensor_height_m: float | None
) -> tuple[F64, dict[str, Any]]:
    """T_base_lidar with the floor at z = 0, and how it is known."""
    import numpy as np

    from perception.floor import estimate_floor

    if sensor_height_m is not None:
        if not (math.isfinite(sensor_height_m) and 0.0 <= sensor_height_m <= 10.0):
            raise InputError("sensor_height", f"{sensor_height_m}", "0 to 10 m")
        T = np.eye(4)
        T[2, 3] = sensor_height_m
        return T, {"source": "given", "height_m": sensor_height_m, "tilt_rad": 0.0}
    if calibration is not None and calibration.stated:
        T = calibration.T_base_lidar
        tilt = math.acos(max(-1.0, min(1.0, float(T[2, 2]))))
        return T, {"source": "calibration", "height_m": float(T[2, 3]), "tilt_rad": round(tilt, 4)}
    floor = estimate_floor(points, np.random.default_rng(0))
    return floor.T_base_lidar, {
        "source": "estimated", "height_m": round(floor.height_m, 3),
        "tilt_rad": round(floor.tilt_rad, 4), "share": round(floor.share, 3),
    }  # fmt: skip


def sensor_frame(
    cloud: F32, image: Path | None, calibration: Calibration | None, T_base_lidar: F64, stamp_ns: int
) -> SensorFrame:
    from aislewise.types import Pose2D, SensorFrame

    pose = Pose2D(0.0, 0.0, 0.0)
    if image is None:
        return SensorFrame("file", stamp_ns, pose, points=cloud)
    assert calibration is not None  # read_calibration() made sure
    if calibration.camera is None:
        raise InputError("calib.camera", "is missing")
    rgb, camera = read_image(image, calibration.camera, calibration.T_base_lidar, T_base_lidar)
    return SensorFrame("file", stamp_ns, pose, rgb, camera, cloud)


def read_image(
    path: Path, camera: CameraModel, T_calib_lidar: F64, T_base_lidar: F64
) -> tuple[Any, CameraModel]:
    """The model's image and camera; the calibration's camera is carried along with the lidar."""
    import numpy as np

    from aislewise.types import CameraModel
    from perception.calibration import sized
    from perception.camera import CameraConfig, decode, prepare_image

    encoding = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png"}.get(path.suffix.lower(), "")
    if not encoding:
        raise InputError("image", f"{path.name!r:.60}", ".jpg, .jpeg or .png")
    try:
        if path.stat().st_size > MAX_IMAGE_BYTES:
            raise InputError("image", f"{path.stat().st_size} bytes", MAX_IMAGE_BYTES)
        blob = path.read_bytes()
    except OSError as error:
        raise InputError("image", f"cannot read {path.name}: {error}") from error
    pixels = decode(blob, encoding, 0, 0, 0, CameraConfig())
    camera = sized(camera, pixels.shape[1], pixels.shape[0])
    rgb, K = prepare_image(pixels, "rgb8", 0, 0, camera.K)
    T_lidar_camera = np.linalg.inv(T_calib_lidar) @ camera.T_base_camera
    return rgb, CameraModel(rgb.shape[1], rgb.shape[0], K, T_base_lidar @ T_lidar_camera)


def to_json(d: Detection, T_base_lidar: F64, seen_by_camera: bool) -> dict[str, Any]:
    """One object in the lidar's frame. Its yaw is about the lidar's z axis."""
    import numpy as np

    from aislewise.types import Colour

    T = np.linalg.inv(T_base_lidar)
    position = T[:3, :3] @ d.position + T[:3, 3]
    heading = T[:3, :3] @ (math.cos(d.yaw_rad), math.sin(d.yaw_rad), 0.0)
    out: dict[str, Any] = {
        "class": d.cls.name.lower(),
        "position": [round(float(v), 3) for v in position],
        "size": [round(float(v), 3) for v in d.size],
        "yaw": round(math.atan2(heading[1], heading[0]), 4),
        "score": round(float(d.score), 4),
    }
    if seen_by_camera:
        out["colour"] = Colour(int(np.argmax(d.colour_probs))).name.lower()
    return out


def show(result: dict[str, Any]) -> None:
    """One line per object for people."""
    floor, points = result["floor"], result["points"]
    print(f"lidar {floor['height_m']:.2f} m above the floor ({floor['source']}), "
          f"tilt {math.degrees(floor['tilt_rad']):.1f} deg; {points['used']} of {points['received']} points used")  # fmt: skip
    for o in result["objects"]:
        x, y, z = o["position"]
        print(f"{o['class']:<10} score {o['score']:.2f}  at {x:7.2f} {y:7.2f} {z:6.2f} m  "
              f"size {' x '.join(f'{v:.2f}' for v in o['size'])}  yaw {o['yaw']:5.2f} rad"
              + (f"  {o['colour']}" if "colour" in o else ""))  # fmt: skip
    print(f"{len(result['objects'])} objects, {result['latency_ms']:.1f} ms")
