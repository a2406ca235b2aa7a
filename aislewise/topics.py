"""Every topic and node name in one table, with type, quality of service, rate and stale-after.

Names without a leading slash are relative to the robot's namespace. QoS follows REP-2003: sensor data is
best effort (depth 5), maps and static transforms are latched, the rest is reliable (depth 10). All robots of a fleet
speak on /tf, so that it is as deep as tf2 makes it (100).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Qos = Literal["sensor", "reliable", "transforms", "latched"]


@dataclass(frozen=True, slots=True)
class Topic:
    """name; ROS type; qos; rate_hz (0 = on event); stale_s: older than this counts as lost (0 = never)."""

    name: str
    type: str
    qos: Qos
    rate_hz: float = 0.0
    stale_s: float = 0.0


# Robot side, inside the robot's namespace
IMAGE_RAW = Topic("camera/image_raw", "sensor_msgs/msg/Image", "sensor", 2.0, 1.5)
CAMERA_INFO_RAW = Topic("camera/camera_info", "sensor_msgs/msg/CameraInfo", "sensor", 2.0, 1.5)
POINTS_RAW = Topic("lidar/points", "sensor_msgs/msg/PointCloud2", "sensor", 2.0, 1.5)
DEPTH_RAW = Topic("camera/depth_registered/image_raw", "sensor_msgs/msg/Image", "sensor", 2.0, 1.5)
IMU_RAW = Topic("imu/data_raw", "sensor_msgs/msg/Imu", "sensor", 10.0, 1.0)
IMAGE = Topic("perception/image", "sensor_msgs/msg/Image", "sensor", 2.0, 1.5)
CAMERA_INFO = Topic("perception/camera_info", "sensor_msgs/msg/CameraInfo", "sensor", 2.0, 1.5)
POINTS = Topic("perception/points", "sensor_msgs/msg/PointCloud2", "sensor", 2.0, 1.5)
ODOM = Topic("odom", "nav_msgs/msg/Odometry", "sensor", 5.0, 1.0)
BATTERY = Topic("battery_state", "sensor_msgs/msg/BatteryState", "sensor", 1.0, 10.0)
DETECTIONS = Topic("detections", "aislewise_msgs/msg/DetectionArray", "reliable", 2.0, 1.5)
DETECTIONS_3D = Topic("detections_3d", "vision_msgs/msg/Detection3DArray", "reliable", 2.0, 1.5)
ROBOT_STATE = Topic("robot_state", "aislewise_msgs/msg/RobotState", "reliable", 5.0, 5.0)
ROUTE = Topic("route", "aislewise_msgs/msg/Route", "reliable")
ROUTE_PATH = Topic("route_path", "nav_msgs/msg/Path", "latched")
PLANNED_PATH = Topic("planned_path", "nav_msgs/msg/Path", "latched")
SPEED_LIMIT = Topic("speed_limit", "nav2_msgs/msg/SpeedLimit", "reliable")

# Fleet side
CLOCK = Topic("/clock", "rosgraph_msgs/msg/Clock", "sensor", 10.0)
TF = Topic("/tf", "tf2_msgs/msg/TFMessage", "transforms", 5.0, 1.0)
TF_STATIC = Topic("/tf_static", "tf2_msgs/msg/TFMessage", "latched")
INSTRUCTION_TEXT = Topic("/instruction", "std_msgs/msg/String", "reliable")
INSTRUCTION = Topic("/instruction/parsed", "aislewise_msgs/msg/Instruction", "reliable")
GROUNDED = Topic("/instruction/grounded", "aislewise_msgs/msg/GroundedInstruction", "latched")
SITE_MAP = Topic("/site_map", "std_msgs/msg/String", "latched")
SITE_GRID = Topic("/site_map/grid", "nav_msgs/msg/OccupancyGrid", "latched")
WORLD_STATE = Topic("/world_state", "aislewise_msgs/msg/WorldState", "reliable", 2.0, 3.0)
WORLD_OBJECTS = Topic("/world_objects", "vision_msgs/msg/Detection3DArray", "reliable", 2.0, 3.0)
WORLD_MARKERS = Topic("/world_markers", "visualization_msgs/msg/MarkerArray", "reliable", 2.0, 3.0)
OCCUPANCY = Topic("/occupancy", "nav_msgs/msg/OccupancyGrid", "latched", 0.2)
FLEET_PLAN = Topic("/fleet_plan", "aislewise_msgs/msg/FleetPlan", "latched", 2.0)
DIAGNOSTICS = Topic("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", "reliable", 1.0)

TOPICS: tuple[Topic, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Topic))

# Services (planner node) and nodes
SUBMIT_ORDER, ORDER_STATUS, CANCEL_ORDER = "submit_order", "order_status", "cancel_order"
ROBOT_NODES = ("camera", "lidar", "fusion")
FLEET_NODES = ("instruction", "world", "planner")


def frame(robot: str, name: str) -> str:
    """Frame id of a robot's own frame ("robot_1/base_link"), REP-105."""
    return f"{robot}/{name}" if robot else name
