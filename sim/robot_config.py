"""How a simulated robot drives, carries, charges and fails."""

from __future__ import annotations

from dataclasses import dataclass

from aislewise.errors import InputError

CUT_OFF = 0.05
"""Of the full current: there a charger ends."""


@dataclass(frozen=True)
class RobotConfig:
    """battery_s: seconds of driving in a full battery; idle_share: of that drain while standing;
    charge_s: seconds from empty to full, at the current of an empty battery.

    The rest is off unless asked for. taper_from: charge above which the current falls off (see `charged`);
    stops_when_empty: a robot without charge stands, and says so. mass_kg: of the empty robot, load_kg: least and
    greatest of a load, drawn by the seed: a laden robot gathers speed and eases off by the same force, so
    more slowly (its emergency brake is rated for its full load); above payload_kg it creeps at reverse_mps.
    dwell_spread: standard deviation over mean of how long picks and drops take. mtbf_s: mean time of
    driving and acting between breakdowns, mttr_s: mean time that one lasts. slow_every_s, slow_s: mean times of
    driving between slow-downs and of one, slow_by: share of speed lost in it (a bad floor, a queue at a
    scanner's warning field)."""

    speed_mps: float = 1.5
    accel_mps2: float = 0.8
    brake_mps2: float = 2.0
    turn_radps: float = 1.2
    reverse_mps: float = 0.4
    scanner_gap_m: float = 0.20
    battery_s: float = 4 * 3600.0
    idle_share: float = 0.2
    charge_s: float = 600.0
    localisation_m: float = 0.012
    localisation_rad: float = 0.004
    odometry_drift: float = 0.01
    taper_from: float = 1.0
    stops_when_empty: bool = False
    mass_kg: float = 0.0
    load_kg: tuple[float, float] = (0.0, 0.0)
    payload_kg: float = 0.0
    dwell_spread: float = 0.0
    mtbf_s: float = 0.0
    mttr_s: float = 300.0
    slow_every_s: float = 0.0
    slow_s: float = 5.0
    slow_by: float = 0.5

    def __post_init__(self) -> None:
        for name in ("speed_mps", "accel_mps2", "brake_mps2", "turn_radps", "reverse_mps", "battery_s", "charge_s"):
            if not 0.0 < getattr(self, name) < 1e6:
                raise InputError(f"robot.{name}", f"{getattr(self, name)}", "> 0")
        for name, low, high in (
            ("taper_from", 0.1, 1.0), ("mass_kg", 0.0, 1e5), ("payload_kg", 0.0, 1e5), ("dwell_spread", 0.0, 3.0),
            ("mtbf_s", 0.0, 1e9), ("mttr_s", 1.0, 1e6), ("slow_every_s", 0.0, 1e9), ("slow_s", 0.1, 1e6), ("slow_by", 0.0, 0.99),
        ):  # fmt: skip
            if not low <= getattr(self, name) <= high:
                raise InputError(f"robot.{name}", f"{getattr(self, name)}", f"{low:g} to {high:g}")
        low, high = self.load_kg
        if not 0.0 <= low <= high <= 1e5:
            raise InputError("robot.load_kg", f"{self.load_kg}", "0 <= least <= greatest <= 1e5")
        if high and not self.mass_kg:
            raise InputError("robot.mass_kg", f"{self.mass_kg}", "> 0 where loads weigh something")
        if self.payload_kg and self.payload_kg < high:
            raise InputError("robot.payload_kg", f"{self.payload_kg}", f"at least one load of {high:g} kg, or 0: any")

    @property
    def extras(self) -> tuple[str, ...]:
        """The options that are on, of those that are off unless asked for."""
        on = {
            "taper_from": self.taper_from < 1.0, "stops_when_empty": self.stops_when_empty,
            "load_kg": self.load_kg[1] > 0.0, "dwell_spread": self.dwell_spread > 0.0, "mtbf_s": self.mtbf_s > 0.0,
            "slow_every_s": self.slow_every_s > 0.0,
        }  # fmt: skip
        return tuple(name for name, is_on in on.items() if is_on)

    def charged(self, battery: float, dt_s: float) -> float:
        """The charge after dt_s more on the charger: constant current up to taper_from, constant voltage above,
        where the current falls in proportion to what is missing, down to a twentieth, at which chargers end.
        The concave curve of Montoya et al., "The electric vehicle routing problem with nonlinear charging function",
        Transportation Research Part B 103 (2017), where the bend lies at about 0.8."""
        current = 1.0
        if battery > self.taper_from:
            current = max(CUT_OFF, (1.0 - battery) / (1.0 - self.taper_from))
        return min(1.0, battery + current * dt_s / self.charge_s)
