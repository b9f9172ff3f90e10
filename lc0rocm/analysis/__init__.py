"""Many positions at once: queries in, answers out, as JSON lines or in Python. docs/analysis.md tells it to users."""
