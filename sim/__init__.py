"""The simulated warehouse: sensors in, routes out, ground truth to measure against."""
