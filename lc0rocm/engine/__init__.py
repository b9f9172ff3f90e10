"""The UCI engine: protocol, game, clock, and how scores are written."""
