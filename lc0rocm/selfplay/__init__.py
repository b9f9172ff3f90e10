"""Games of a network against itself, and what a training learns from them. docs/selfplay.md tells it to users."""
