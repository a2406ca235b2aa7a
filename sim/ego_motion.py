"""Where a robot was a moment ago: sensors that take time see from a pose that moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aislewise.geometry import wrap_angle
from aislewise.types import F64, Pose2D


@dataclass(frozen=True, slots=True)
class Twist:
    """Of base_link, in base_link: m/s along x (negative: backwards), rad/s about z."""

    forward_mps: float = 0.0
    turn_radps: float = 0.0

    @staticmethod
    def between(before: Pose2D, after: Pose2D, dt_s: float) -> Twist:
        """The steady motion of a differential drive from one pose to the other."""
        turned = wrap_angle(after.yaw_rad - before.yaw_rad)
        heading = before.yaw_rad + turned / 2
        chord = (after.x_m - before.x_m) * np.cos(heading) + (after.y_m - before.y_m) * np.sin(heading)
        return Twist(float(chord / np.sinc(turned / (2 * np.pi)) / dt_s), turned / dt_s)

    @property
    def still(self) -> bool:
        return self.forward_mps == 0.0 and self.turn_radps == 0.0


STILL = Twist()


def trail(T_map_base: Pose2D, twist: Twist, offset_s: F64) -> F64:
    """(K, 4, 4) T_map_base at offset_s (K,) from now, on the circle that the steady twist drives."""
    turned = twist.turn_radps * offset_s
    chord = twist.forward_mps * offset_s * np.sinc(turned / (2 * np.pi))
    heading, yaw = T_map_base.yaw_rad + turned / 2, T_map_base.yaw_rad + turned
    out = np.zeros((len(offset_s), 4, 4))
    out[:, 0, 0] = out[:, 1, 1] = np.cos(yaw)
    out[:, 1, 0] = np.sin(yaw)
    out[:, 0, 1] = -out[:, 1, 0]
    out[:, 0, 3] = T_map_base.x_m + chord * np.cos(heading)
    out[:, 1, 3] = T_map_base.y_m + chord * np.sin(heading)
    out[:, 2, 2] = out[:, 3, 3] = 1.0
    return out
