"""`lc0rocm selfplay`: many games at once, here or on a cluster, as training data."""
from __future__ import annotations

import collections
import contextlib
import json
from collections.abc import Callable, Generator, Mapping


from lc0rocm import files, loading, report, tables
from lc0rocm._core import Error
from lc0rocm.analysis.lines import options_of
from lc0rocm.cluster import workers
from lc0rocm.cluster.parts import Parts
from lc0rocm.games.many import Many
from lc0rocm.options import Settings
from lc0rocm.selfplay.play import Played, Setup, Shared, Table

_MOST_AT_ONCE = 256


def run(settings: Settings) -> int:
    """Plays what is missing. An interrupt keeps the games that are over, and the same command goes on from there."""
    goal = settings["output"]
    if not goal:
        raise Error("where to? lc0rocm selfplay -o games --games=1000 --weights=net.pb.gz")
    setup = Setup(options_of(settings), settings["visits"], settings["openings"], settings["shuffle"], settings["plies"], settings["seed"],
                  settings["games"], settings["UCI_Chess960"], settings["resign-percentage"], settings["resign-playthrough"],
                  settings["resign-earliest-move"], settings["max-moves"])
    starts, net = setup.starts(), loading.network_of(settings)
    try:
        network = files.sha256(net) if net else settings["Backend"]
    except OSError as error:
        raise Error(f"{net}: cannot be read: {error.strerror}") from None
    identity = setup._asdict() | {"network": network, "options": json.dumps(setup.options, sort_keys=True), "openings": starts and starts.identity}
    del identity["games"]  # more may be asked for another time
    parts = Parts(goal, identity, settings["again"])
    missing = [number for number in range(settings["games"]) if number not in parts.done]
    if parts.done:
        report.say(f"{len(parts.done)} games are in {goal}; goes on with the others")
    try:
        with contextlib.closing(_over_cluster(settings, setup, missing) if settings["ray"] else _here(settings, setup, missing)) as played:
            with report.amount("self-play", settings["games"], "positions", not settings["json"]) as tell:
                before = parts.sum("positions")
                for number, game in played:
                    parts.add(number, {f"game_{number:06}.gz": game.data}, **game.facts)
                    tell(len(parts.done), parts.sum("positions") - before)
    finally:
        parts.close()
    results = collections.Counter(facts["result"] for facts in parts.done.values())
    told = {"output": goal, "games": len(parts.done), "positions": parts.sum("positions"), "results": dict(sorted(results.items()))}
    if settings["json"]:
        report.write_json(told)
    else:
        print(f"{told['games']} games, {told['positions']} positions, {', '.join(f'{count} {name}' for name, count in sorted(results.items()))}: {goal}")
    return 0


def _here(settings: Settings, setup: Setup, missing: list[int]) -> Generator[tuple[int, Played], None, None]:
    if not missing:
        return
    loaded = loading.load_for(settings)
    shared = Shared(loaded.backend, setup)
    at_once = min(settings["parallelism"] or max(4, min(_MOST_AT_ONCE, loaded.backend.info["best_batch"])), len(missing))
    for message in [*loaded.messages, *shared.remarks, *(tables.messages(shared.tables) if shared.tables else []), f"{at_once} games at once"]:
        report.say(message)
    many = Many(missing, lambda: Table(shared), at_once)
    try:
        yield from many
    finally:
        many.close()


def _over_cluster(settings: Settings, setup: Setup, missing: list[int]) -> Generator[tuple[int, Played], None, None]:
    """A block is a game."""
    if missing:
        sent = {"openings": setup.openings} if setup.openings else {}
        yield from workers.run(settings["ray"], workers.job(settings, worker, (setup,), 1, settings["parallelism"], sent), ((n, n) for n in missing))


def worker(loaded: loading.Loaded, ram_mb: int, sent: Mapping[str, str], setup: Setup) -> Callable[[int], Played]:
    """What a worker does with the number of a game."""
    shared = Shared(loaded.backend, setup._replace(openings=sent.get("openings", "")))
    free: list[Table] = []  # each for one thread at a time

    def work(number: int) -> Played:
        try:
            table = free.pop()
        except IndexError:
            table = Table(shared)
        _, played = table.work(number)
        free.append(table)
        return played

    return work
