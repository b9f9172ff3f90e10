"""Games between players, many at once: what matches and self-play share."""
