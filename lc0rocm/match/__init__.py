"""Matches between nets, options and engines. docs/match.md tells it to users."""
