"""Work in blocks on many machines, by Ray, and its results as parts of files. docs/cluster.md tells it to users."""
