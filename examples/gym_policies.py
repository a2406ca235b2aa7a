"""Two policies for `aislewise/Warehouse-v0` and what they reach.

    python examples/gym_policies.py --episodes 10

`random` chooses among what is possible. `nearest` gives each free robot the open order whose first pick is nearest
to it, and sends it to charge when its battery is low: a yardstick for what you learn.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

import aislewise.gym  # noqa: F401 - registers the environment

CHARGE_BELOW, CHARGE_TO = 0.25, 0.8
X, Y, BATTERY, HAS_ORDER, CHARGING = 0, 1, 4, 6, 8
Observation = dict[str, Any]
Policy = Callable[[Observation, np.random.Generator], Any]


def random_policy(seen: Observation, rng: np.random.Generator) -> Any:
    return np.array([rng.choice(np.flatnonzero(mask)) for mask in seen["action_mask"]])


def nearest_policy(seen: Observation, rng: np.random.Generator) -> Any:
    actions = np.zeros(len(seen["robots"]), np.int64)
    slots = len(seen["orders"])
    charge, taken = slots + 1, np.zeros(slots, bool)
    for k, (robot, mask) in enumerate(zip(seen["robots"], seen["action_mask"], strict=True)):
        if robot[HAS_ORDER]:
            continue
        if robot[BATTERY] < (CHARGE_TO if robot[CHARGING] else CHARGE_BELOW):
            actions[k] = charge if mask[charge] else 0
            continue
        free = np.flatnonzero(mask[1 : slots + 1].astype(bool) & ~taken)
        if len(free):
            away = np.abs(seen["orders"][free, :2] - robot[[X, Y]]).sum(axis=1)
            best = int(free[np.argmin(away)])
            actions[k], taken[best] = best + 1, True
    return actions


def episode(env: gymnasium.Env[Any, Any], policy: Policy, seed: int) -> tuple[float, dict[str, Any]]:
    """(sum of rewards, last info and the number of steps)."""
    seen, info = env.reset(seed=seed)
    rng, total, over, steps = np.random.default_rng(seed), 0.0, False, 0
    while not over:
        seen, reward, terminated, truncated, info = env.step(policy(seen, rng))
        total, steps = total + float(reward), steps + 1
        over = terminated or truncated
    return total, {**info, "steps": steps}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=10)
    args = parser.parse_args()
    env = gymnasium.make("aislewise/Warehouse-v0")
    for name, policy in (("random", random_policy), ("nearest", nearest_policy)):
        started = time.process_time()
        results = [episode(env, policy, seed) for seed in range(args.episodes)]
        steps_per_s = sum(info["steps"] for _, info in results) / (time.process_time() - started)
        reward = np.array([total for total, _ in results])
        mean = {key: float(np.mean([info[key] for _, info in results])) for key in ("delivered", "late", "open", "time_s")}
        spread = 1.96 * reward.std(ddof=1) / np.sqrt(len(reward)) if len(reward) > 1 else 0.0
        print(
            f"{name:8} reward {reward.mean():7.2f} +- {spread:.2f}   delivered {mean['delivered']:.1f}, "
            f"late {mean['late']:.1f}, left open {mean['open']:.1f}, in {mean['time_s']:.0f} s, "
            f"contacts {sum(info['collisions'] for _, info in results)}, {steps_per_s:.0f} steps per CPU second"
        )


if __name__ == "__main__":
    main()
