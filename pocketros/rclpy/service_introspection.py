"""Events of services on `SERVICE/_service_event`: pocketros publishes none."""

from __future__ import annotations

from enum import IntEnum


class ServiceIntrospectionState(IntEnum):
    OFF = 0
    METADATA = 1
    CONTENTS = 2
