"""Registers Aislewise's environments with Gymnasium on import (extra `gym`).

    import gymnasium
    import aislewise.gym
    env = gymnasium.make("aislewise/Warehouse-v0")

or `gymnasium.make("aislewise.gym:aislewise/Warehouse-v0")`. Gymnasium 1.0 took away the entry points by which a
package could register unasked, so the import is needed; the environment is loaded when it is made.
"""

from __future__ import annotations

import gymnasium

gymnasium.register(
    # Named by text, so that the spine imports no room.
    id="aislewise/Warehouse-v0",
    entry_point="sim.gym_env:WarehouseEnv",
)
