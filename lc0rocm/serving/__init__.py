"""The engine for others: over a socket, and for lichess."""
