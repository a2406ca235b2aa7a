"""The spine every room of Aislewise shares: plain types, geometry, site map, errors, topics."""

__version__ = "0.1.0"
