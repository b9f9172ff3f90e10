"""The Python API, in one place: evaluate positions with a network, search with an engine, analyse
many at once. docs/python.md tells it by examples."""
from lc0rocm.analysis.iterate import Analysis as Analysis, analyse as analyse
from lc0rocm.evaluating import Evaluation as Evaluation, Network as Network, NetworkInfo as NetworkInfo
from lc0rocm.searching import Engine as Engine, Line as Line, SearchResult as SearchResult, SearchUpdate as SearchUpdate
