"""Installs Aislewise for pip and, as an ament_python package, for colcon."""

from __future__ import annotations

from glob import glob
from pathlib import Path

from setuptools import find_packages, setup

ROOMS = ["aislewise", "pocketros", "perception", "fusion", "planning", "sim", "cli"]

setup(
    name="aislewise",
    version="0.1.0",
    description="Warehouse robots that see, understand and move together",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=[*ROOMS, "pocketros.*"]),
    package_data={
        "pocketros": ["README.md", "definitions/**/*"],
        "fusion": ["weights/*"],
        "sim": ["scenarios/*.yaml", "scenarios/*.csv", "error_model.npz"],
    },
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/aislewise"]),
        ("share/aislewise", ["package.xml"]),
        ("share/aislewise/launch", glob("launch/*.yaml")),
        ("share/aislewise/config", glob("config/*")),
        ("share/aislewise/interfaces", ["interfaces/package.xml"]),
        ("share/aislewise/interfaces/msg", glob("interfaces/msg/*.msg")),
        ("share/aislewise/interfaces/srv", glob("interfaces/srv/*.srv")),
    ],
    install_requires=[
        "mcap>=1.2,<2",
        "msgspec>=0.19,<0.23",
        "numba>=0.60,<0.70",
        "numpy>=1.26,<2.5",
        "onnxruntime>=1.20,<1.33",
        "open3d>=0.19,<0.21",
        "ortools>=9.12,<9.16",
        "pillow>=10,<14",
        "pyyaml>=6,<7",
        "pyzmq>=26,<28",
        "rich>=13,<16",
        "rosbags>=0.11.7,<0.12",
        "scipy>=1.13,<1.18",
        "matplotlib>=3.8,<3.12",
    ],
    extras_require={
        "train": ["torch>=2.6,<2.14", "onnx>=1.17,<2", "onnxscript>=0.2,<1"],
        # ouster-sdk pins an old rosbags that has no Jazzy store; `make setup` installs it without its pins.
        "ouster": ["ouster-sdk>=0.16,<2"],
        # pocketros on the wire: the same nodes in separate processes, and together with ROS 2's.
        "dds": ["cyclonedds>=11,<12"],
        # A Gymnasium environment to learn dispatching in: aislewise/Warehouse-v0.
        "gym": ["gymnasium>=1,<2"],
        # Validation sweeps on a cluster: `aislewise validate --workers ray`.
        "ray": ["ray>=2.40,<3"],
        "dev": [
            "cyclonedds>=11,<12",
            "gymnasium>=1,<2",
            "hypothesis>=6,<7",
            "import-linter>=2,<3",
            "mypy>=1.11,<3",
            "pre-commit>=3,<5",
            "psutil>=5.9,<8",
            "pytest>=8,<10",
            "pytest-timeout>=2.3,<3",
            "ruff>=0.6,<1",
        ],
    },
    entry_points={
        "console_scripts": [
            "aislewise = cli.main:main",
            "camera_node = cli.nodes:camera_node",
            "lidar_node = cli.nodes:lidar_node",
            "instruction_node = cli.nodes:instruction_node",
            "fusion_node = cli.nodes:fusion_node",
            "world_node = cli.nodes:world_node",
            "planner_node = cli.nodes:planner_node",
            "nav2_adapter = cli.nodes:nav2_adapter",
            "robots = cli.nodes:robots",
            "sim_node = cli.nodes:sim_node",
        ]
    },
    zip_safe=False,
)
