"""`python -m pocketros`: ros2's verbs without ROS 2."""

from __future__ import annotations

import sys

from pocketros.verbs.command import main

if __name__ == "__main__":
    sys.exit(main())
