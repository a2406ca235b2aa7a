"""Where genuine rclpy keeps its C extension; here a few public names that programs import from it."""
