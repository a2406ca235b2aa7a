"""Where the files beside the code are: in a checkout, after pip install, or in a ROS 2 install space."""

from __future__ import annotations

import sys
from pathlib import Path

from aislewise.errors import InputError

_ROOT = Path(__file__).resolve().parent.parent


def share_dir() -> Path:
    """Folder that holds launch/, config/ and (without ROS 2) interfaces/."""
    if (_ROOT / "package.xml").exists():
        return _ROOT
    for base in (Path(sys.prefix), *_ROOT.parents):
        if (base / "share" / "aislewise" / "package.xml").exists():
            return base / "share" / "aislewise"
    raise InputError("share", "no share/aislewise beside the installed package; reinstall it")


def interfaces_dir() -> Path:
    """Our message definitions as text."""
    return share_dir() / "interfaces"
