"""Says which system libraries are missing for open3d, and how to get them on Debian and Ubuntu."""

from __future__ import annotations

import ctypes
import sys

# Shared library -> Debian package; open3d's wheel links them and a bare system has none.
NEEDED = {"libusb-1.0.so.0": "libusb-1.0-0", "libgomp.so.1": "libgomp1", "libGL.so.1": "libgl1", "libX11.so.6": "libx11-6"}


def missing() -> list[str]:
    out = []
    for library, package in NEEDED.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            out.append(package)
    return out


def main() -> int:
    if not sys.platform.startswith("linux"):
        return 0
    try:
        import open3d  # noqa: F401
    except (ImportError, OSError) as error:
        packages = " ".join(missing()) or "libusb-1.0-0 libgomp1 libgl1"
        print(f"open3d cannot be loaded: {error}", file=sys.stderr)
        print(f"On Debian or Ubuntu: sudo apt-get install -y {packages}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
