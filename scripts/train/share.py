"""The share of the data that one process of a training holds. It grows with the folder, so that training can begin while the
games are still being played."""
import pathlib

import numpy as np

import batches
import positions
from team import Team


class Share:
    """Every so many-th file of the folder: what trains, on the device, and whole games that are held out."""

    def __init__(self, folder: pathlib.Path, team: Team, device: str) -> None:
        self.folder, self.team, self.device = folder, team, device
        self.seen: set[str] = set()
        self.positions, self.children = (batches.Store(np.zeros(0, kind), device) for kind in (positions.POSITION, positions.CHILD))
        self.held, self.held_children = np.zeros(0, positions.POSITION), np.zeros(0, positions.CHILD)
        self.keys = np.zeros(0, np.uint64)  # of the positions that train
        self.grow()
        enough = np.all(team.gather(min(self.positions.size, self.children.size)))
        if not enough or min(self.totals()[2:]) < team.size:
            raise SystemExit(f"{folder} has too few positions to train {team.size} processes and keep some apart: prepare.py makes more")

    def grow(self) -> bool:
        """Takes the files that are new, if any; all processes call it at the same step. Held-out positions that also occur
        among what trains by now, of whatever process, are dropped."""
        names = [name for name in positions.parts(self.folder) if name not in self.seen]
        names = self.team.gather(names)[0]  # folders change meanwhile: the first process decides
        if not names:
            return False
        self.seen.update(names)
        mine = names[self.team.rank::self.team.size]
        found, children = (positions.load(self.folder, kind, mine) for kind in ("positions", "children"))
        apart, children_apart = positions.is_held_out(found), positions.is_held_out(children)
        self.positions.add(found[~apart])
        self.children.add(children[~children_apart])
        self.keys = np.concatenate([self.keys, positions.keys(found[~apart])])
        self.held = np.concatenate([self.held, found[apart]])
        self.held_children = np.concatenate([self.held_children, children[children_apart]])
        mine = positions.keys(self.held)
        everybodys = np.concatenate(self.team.gather(mine))
        taught = np.any(self.team.gather(np.isin(everybodys, self.keys)), axis=0)
        self.held = self.held[~np.isin(mine, everybodys[taught])]
        return True

    def totals(self) -> list[int]:
        """Of all processes: positions, children, held-out positions, held-out children."""
        mine = self.positions.size, self.children.size, len(self.held), len(self.held_children)
        return np.sum(self.team.gather(mine), axis=0).tolist()

    def newest_held_out(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Everybody's `count` held-out positions and children, at most, to measure with: newest games, in random order."""
        count = -(-count // self.team.size)
        return tuple(np.random.default_rng(0).permutation(np.concatenate(self.team.gather(records[-count:])))
                     for records in (self.held, self.held_children))
