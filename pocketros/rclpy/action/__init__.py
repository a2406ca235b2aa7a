"""Actions: goals that take a while, report on the way and can be cancelled.

An action is three services and two topics under hidden names (`NAME/_action/send_goal`,
`cancel_goal`, `get_result`, `feedback`, `status`), so it works over every transport.
"""

from __future__ import annotations

from .client import ActionClient
from .graph import (
    get_action_client_names_and_types_by_node,
    get_action_names_and_types,
    get_action_server_names_and_types_by_node,
)
from .server import ActionServer, CancelResponse, GoalResponse

__all__ = [
    "ActionClient", "ActionServer", "CancelResponse", "GoalResponse",
    "get_action_client_names_and_types_by_node", "get_action_names_and_types",
    "get_action_server_names_and_types_by_node",
]  # fmt: skip
