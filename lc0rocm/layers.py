"""A look into passes of a network: layers that are kept, and others put in their places."""
from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Callable, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lc0rocm import _core

Shapes = dict[str, tuple[int, ...]]
Replacement = Union[ArrayLike, Callable[[NDArray[np.float32]], Any]]


class Watch:
    """What one evaluation of `count` positions keeps and replaces. shapes: of the layers that there are, without positions. Raises Error
    for a name that is none of them and for arrays that do not fit."""

    def __init__(self, shapes: Shapes, count: int, layers: str | Iterable[str], replace: Mapping[str, Replacement] | None):
        if isinstance(replace, (str, bytes)) or not isinstance(replace or {}, Mapping):
            raise _core.Error(f"replace is a dictionary from layers to arrays or functions, not {type(replace).__name__}")
        try:
            names = [layers] if isinstance(layers, str) else list(layers)
        except TypeError:
            raise _core.Error(f"layers are names, a list of them, not {type(layers).__name__}") from None
        for name in [*names, *(replace or {})]:
            if not isinstance(name, str) or name not in shapes:
                raise _core.Error(_no_layer(name, shapes))
        try:
            self.kept = {name: np.empty((count, *shapes[name]), np.float32) for name in names}
        except MemoryError:
            raise _core.Error(f"there is no memory for these layers of {count} positions; evaluate fewer at once") from None
        self._replace = {name: value if callable(value) else _fitting(name, value, (count, *shapes[name]))
                         for name, value in (replace or {}).items()}

    @property
    def wanted(self) -> set[str]:
        return {*self.kept, *self._replace}

    def see(self, name: str, first: int, values: NDArray[np.float32]) -> bool:
        """As the core calls it: `values`, of positions from `first` on, is what the pass goes on with if this returns True."""
        end = first + len(values)
        if changes := name in self._replace:
            new = self._replace[name]
            if callable(new):
                mine = values.copy()  # a function may keep what it gets
                made = new(mine)
                new = _fitting(name, mine if made is None else made, values.shape, "what replace's function for {} returns")
            else:
                new = new[first:end]
            values[...] = new
        if name in self.kept:
            self.kept[name][first:end] = values
        return changes


def _fitting(name: str, value: Any, shape: tuple[int, ...], what: str = "what replaces {}") -> NDArray[np.float32]:
    what = what.format(name)
    try:
        array = np.asarray(value, np.float32)
    except (TypeError, ValueError):
        raise _core.Error(f"{what} is no array of numbers, expected the shape {shape}") from None
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise _core.Error(f"{what} has the shape {array.shape}, expected {shape} or what NumPy broadcasts to it") from None


def _no_layer(name: Any, shapes: Shapes) -> str:
    if not shapes:
        return "this back end shows no layers of a network; take cpu or rocm"
    near = difflib.get_close_matches(str(name), shapes, 1)
    return f"this network has no layer {name!r}{f', but {near[0]!r}' if near else ''}; `network.layers` lists them"
