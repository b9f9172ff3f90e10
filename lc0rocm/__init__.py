"""lc0rocm: Lc0 networks for players and programmers; a UCI engine, and this library.

    import chess, lc0rocm
    with lc0rocm.Network("maia-1900.pb.gz") as net:
        print(net.policy(chess.Board()))
        print(lc0rocm.Engine(net).search(chess.Board(), nodes=800).best_move)

Every problem that a user can cause or meet is raised as lc0rocm.Error with one sentence that says what to do.
"""
import contextlib
import importlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what __getattr__ finds
    from lc0rocm._core import Error
    from lc0rocm.api import Analysis, Engine, Evaluation, Line, Network, NetworkInfo, SearchResult, SearchUpdate, analyse

    __version__: str

__all__ = ["Analysis", "Engine", "Error", "Evaluation", "Line", "Network", "NetworkInfo", "SearchResult", "SearchUpdate", "__version__", "analyse"]


if sys.version_info < (3, 12):  # later ones refuse by themselves what here would wait for ever, inside of pybind11
    with contextlib.suppress(ModuleNotFoundError):
        _interpreters = importlib.import_module("_xxsubinterpreters")
        if _interpreters.get_current() != _interpreters.get_main():
            raise ImportError("lc0rocm works in the main interpreter of a process, not in a subinterpreter "
                              "(under mod_wsgi: WSGIApplicationGroup %{GLOBAL})", name="lc0rocm")


def __getattr__(name: str):
    # Lazily: the UCI engine must answer before numpy, chess and protobuf are loaded.
    if name == "Error":
        return importlib.import_module("lc0rocm._core").Error
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("lc0rocm")
    if name in __all__:
        return getattr(importlib.import_module("lc0rocm.api"), name)
    raise AttributeError(f"module 'lc0rocm' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
