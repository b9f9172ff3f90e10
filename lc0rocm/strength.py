"""Playing at a rating: what UCI_LimitStrength and UCI_Elo mean.

A net that learned from people of about that rating, if one is here (`lc0rocm nets`), has its policy drawn from: the moves, and the mistakes, are
those of people. Else the package's own net plays: a rating that its policy reaches by a draw at a temperature that falls with the rating, a
higher one by a search of so many nodes, whose choice varies in the opening. Whatever WeightsFile says, these nets play: theirs is the
strength that was measured. Temperatures and nodes are fitted to games against Stockfish's levels: docs/strength.md."""
import itertools
import math
import random
from typing import Any, Mapping, NamedTuple, TypeVar

from lc0rocm._core import Error

LOWEST, HIGHEST = 1320, 2600  # what was measured
_NODES = (1850, 10), (2050, 60), (2200, 330), (2400, 1000), (2600, 2250)  # rating, nodes of a search; between them by the nodes' logarithm
_POLICY = 1850  # the rating up to which the policy alone is drawn from
_OF_PEOPLE = 0.5  # temperature of the policy of a net that learned from them
_NEAR = 100  # in rating

# Of a search at a rating, whatever the options say. Small batches, for it may have 16 nodes; after the opening it plays what it thinks best.
OF_A_SEARCH: dict[str, Any] = {"Threads": 1, "MinibatchSize": 8, "MaxPrefetch": 0, "Temperature": 0.6, "TempCutoffMove": 16, "TempEndgame": 0.0,
                               "TempValueCutoff": 3.0}

_Move = TypeVar("_Move")


class Strength(NamedTuple):
    """weights: the net, as WeightsFile names one; temperature: of the draw from its policy, None for a search; nodes: of a search."""
    weights: str
    temperature: float | None
    nodes: int
    about: str

    @property
    def of_a_search(self) -> dict[str, Any]:
        """The options of the core's search that it decides."""
        return OF_A_SEARCH if self.temperature is None else {}


def of(settings: Any) -> Strength | None:
    """What the options (a Settings, or their values by name) ask for; None: to play as well as it can. Reads whole the files of nets that it
    may be: once a go is enough."""
    if not settings["UCI_LimitStrength"]:
        return None
    elo = settings["UCI_Elo"]
    if person := _person(elo):
        rating, path = person
        return Strength(path, _OF_PEOPLE, 1, f"plays at {elo}: like people rated {rating} on lichess, by {path}")
    if elo <= _POLICY:
        temperature = (2002 - elo) / 785
        return Strength("<built in>", temperature, 1, f"plays at {elo}: moves drawn from the policy of the package's network at temperature {temperature:.2f}")
    nodes = next(round(few * (many / few) ** ((elo - low) / (high - low))) for (low, few), (high, many) in itertools.pairwise(_NODES) if elo <= high)
    return Strength("<built in>", None, nodes, f"plays at {elo}: searches of {nodes} nodes with the package's network")


def draw(logits: Mapping[_Move, float], temperature: float) -> _Move:
    """A move by the softmax of logit / temperature."""
    most = max(logits.values())
    return random.choices(list(logits), [math.exp((logit - most) / temperature) for logit in logits.values()])[0]


def _person(elo: int) -> tuple[int, str] | None:
    """The rating and file of the net here that learned from people nearest to it."""
    from lc0rocm.netfile import fetch  # here: uci has to be answered first
    near = (net for net in fetch.nets().values() if abs(net.rating - elo) <= _NEAR)
    return next(((net.rating, str(path)) for net in sorted(near, key=lambda net: abs(net.rating - elo)) if (path := net.here())), None)


def net_of_people(rating: int) -> str:
    """The name of the net that learned from people rated like that. Raises Error where there is none so low or high."""
    from lc0rocm.netfile import fetch
    known = sorted(fetch.nets().values(), key=lambda net: abs(net.rating - rating))
    if abs(known[0].rating - rating) > _NEAR:
        ratings = [net.rating for net in known]
        raise Error(f"there are nets of people rated {min(ratings)} to {max(ratings)}, not {rating}; or give the file of another net")
    return known[0].name
