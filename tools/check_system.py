"""Sees to the system libraries that open3d's wheel links and a bare Debian or Ubuntu lacks.

As root (a container, CI) they are installed; anybody else is told the command.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys

NEEDED = {"libusb-1.0.so.0": "libusb-1.0-0", "libgomp.so.1": "libgomp1", "libGL.so.1": "libgl1", "libX11.so.6": "libx11-6"}
"""Shared library -> Debian package."""
APT = ["apt-get", "-q", "-y", "--no-install-recommends", "install"]


def missing() -> list[str]:
    """The Debian packages whose libraries cannot be loaded."""
    out = []
    for library, package in NEEDED.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            out.append(package)
    return out


def open3d_error() -> str:
    """Why open3d cannot be imported, in a fresh process; "" if it can."""
    done = subprocess.run([sys.executable, "-c", "import open3d"], capture_output=True, text=True)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["unknown reason"])[-1]


def install(packages: list[str]) -> None:
    """With apt, after fetching its lists where there are none or old ones; a failure shows in what follows."""
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    print(f"open3d needs {' '.join(packages)}: installing", flush=True)
    if subprocess.run([*APT, *packages], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        subprocess.run(["apt-get", "-q", "update"], env=env, stdout=subprocess.DEVNULL)
        subprocess.run([*APT, *packages], env=env, stdout=subprocess.DEVNULL)


def main() -> int:
    if not sys.platform.startswith("linux"):
        return 0
    error = open3d_error()
    packages = missing()
    if error and packages and os.geteuid() == 0 and shutil.which("apt-get"):
        install(packages)
        error = open3d_error()
    if error:
        print(f"open3d cannot be loaded: {error}", file=sys.stderr)
        names = " ".join(packages or NEEDED.values())
        print(f"On Debian or Ubuntu: sudo apt-get install -y {names}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
