"""The commands behind every published figure. Each file runs alone: `python -m benchmarks.NAME`."""
