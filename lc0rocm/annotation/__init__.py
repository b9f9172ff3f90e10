"""Games of a PGN file with what the engine thinks of each move. docs/annotate.md tells it to users."""
