"""check: two back ends on the same positions, and how far apart their answers are at worst."""
import random

from lc0rocm import _core, loading, report
from lc0rocm.options import Settings
from lc0rocm.positions import POSITIONS, split

# Allowed difference of two float32 back ends: absolute plus relative to the second. --tolerance multiplies both.
_ALLOWED = {"policy": (1e-3, 1e-3), "q": (1e-4, 0.0), "d": (1e-4, 0.0), "m": (1e-3, 1e-3)}


def check(settings: Settings) -> int:
    """0: all within the tolerance, 1: not."""
    import numpy as np
    first = loading.load_for(settings, unplayable=True)
    second = loading.load_backend(settings["WeightsFile"], settings["against"], settings["against-opts"],
                                  unplayable=True)
    json, batch = settings["json"], settings["batch"]
    games = list(_games(settings["positions"]))
    differences: dict[str, list[float]] = {name: [] for name in _ALLOWED}
    shares: dict[str, list[float]] = {name: [] for name in _ALLOWED}  # of the allowed difference
    interrupted = False
    try:
        with report.progress("comparing", len(games)) as step:
            for at in range(0, len(games), batch):
                part = games[at:at + batch]
                answers = [_evaluate(loaded.backend, part) for loaded in (first, second)]
                for row, game in enumerate(part):
                    legal = game.policy_indices(second.backend.info["input_format"])
                    for name, a, b in zip(_ALLOWED, *answers):
                        one, other = (np.atleast_1d(x[row])[legal if name == "policy" else slice(None)] for x in (a, b))
                        absolute, relative = _ALLOWED[name]
                        difference = np.abs(one - other)
                        allowed = settings["tolerance"] * (absolute + relative * np.abs(other))
                        # A nan is the largest difference there is.
                        differences[name].append(float(np.nan_to_num(difference, nan=np.inf).max(initial=0)))
                        shares[name].append(float(np.nan_to_num(difference / allowed, nan=np.inf).max(initial=0)))
                    step()
    except KeyboardInterrupt:
        interrupted = True
    compared = len(shares["m"])
    rows = []
    for name in _ALLOWED:
        worst = max(range(compared), key=shares[name].__getitem__, default=None)
        if worst is not None:
            rows.append([name, differences[name][worst], sum(differences[name]) / compared, 100 * shares[name][worst],
                         games[worst].fen()])
    good = all(row[3] <= 100 for row in rows)
    columns = ["output", "worst difference", "mean of worst", "% of allowed", "position"]
    names = [f"{loaded.backend.name} on {loaded.backend.info['device']}" for loaded in (first, second)]
    if json:
        report.write_json({"command": "check", "backends": names, "positions": compared, "interrupted": interrupted,
                           "within_tolerance": good,
                           "outputs": [dict(zip(("output", "worst", "mean", "percent", "fen"), row)) for row in rows]})
    else:
        print(f"{names[0]}\nagainst {names[1]}\n{compared} positions{', interrupted' if interrupted else ''}; "
              f"policy means logits of legal moves\n\n{report.table(columns, rows)}\n\n"
              + ("within the tolerance" if good else "NOT within the tolerance; 16 bits need about --tolerance=100"))
    return 130 if interrupted else 0 if good else 1


def _games(count: int):
    """Our benchmark positions, then positions of random games, always the same."""
    for text in POSITIONS[:count]:
        yield _core.Game(*split(text))
    dice = random.Random(1)
    for _ in range(count - len(POSITIONS)):
        game = _core.Game()
        for _ in range(dice.randint(2, 80)):
            moves = game.legal_moves()
            if not moves:
                break
            game.push(dice.choice(moves))
        yield game


def _evaluate(backend: _core.Backend, games: list[_core.Game]):
    import numpy as np
    planes = [game.planes(backend.info["input_format"]) for game in games]
    return backend.evaluate(*(np.stack(part) for part in zip(*planes)))
