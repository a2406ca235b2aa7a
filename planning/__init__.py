"""Orders, assignment, sequencing, traffic, release, checking and the planning service."""
