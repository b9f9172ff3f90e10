"""The command line: which command, its flags, its exit code. Each command is a function elsewhere, imported when it
runs: `lc0rocm` has to answer `uci` at once.

Exit codes: 0 done, 1 `check` found a difference or `doctor` a problem, 2 bad usage or something missing (one line on standard error says what
to do), 130 interrupted."""
import contextlib
import io
import os
import pathlib
import signal
import sys
from typing import Callable, NamedTuple, Sequence

from lc0rocm import flags, report
from lc0rocm._core import Error
from lc0rocm._version import VERSION
from lc0rocm.option import HIDDEN, NORMAL
from lc0rocm.options import (ANALYSIS, ENDGAMES, ENGINE, NETWORK, OUTPUT, SEARCH, SEARCHES, STOPPING, TREES, Option, Settings, check, combo,
                             markdown, path, real, spin, string)


class Command(NamedTuple):
    name: str
    summary: str
    run: Callable[[Settings], int] | None  # None: main() speaks UCI
    options: tuple[Option, ...]
    example: str = ""
    takes: tuple[str, ...] = ("WeightsFile",)  # what words that are no flags set, one after the other


def _row(name: str) -> Option:
    return next(option for option in ENGINE if option.name == name)


def _own(*options: Option) -> tuple[Option, ...]:
    json = check("", "json", False, "Print JSON, for programs.")
    return tuple(option._replace(group="This command") for option in (*options, json))


def _network(**defaults) -> tuple[Option, ...]:
    return tuple(option._replace(default=defaults.get(option.name, option.default)) for option in NETWORK)


def _threads(default: int) -> Option:
    return _row("Threads")._replace(default=default, low=1, help="Threads that evaluate or search.", show=NORMAL)


def _bench_options(movetime: int, positions: int, suggest: bool) -> tuple[Option, ...]:
    return _own(
        spin("", "nodes", -1, -1, 999999999, "Stop a position at this many visits; -1 for no limit."),
        spin("", "movetime", movetime, -1, 999999999, "Stop a position after this many milliseconds; -1 for no limit."),
        string("", "fen", "", "Search this position only; moves may follow: 'FEN moves e2e4 ...'."),
        spin("", "num-positions", positions, 1, 34, "How many of the built-in positions."),
        check("", "suggest", suggest, "At the end try other threads and minibatches, and say which are fastest here."),
        _row("Search")._replace(choices=TREES, help="By a tree, classic, or by a graph in which transpositions are one position, dag.", show=NORMAL),
        _threads(2)) + _network(NNCacheSize=200000) + SEARCH


_BATCH = _own(
    spin("", "batches", 100, 1, 1000000, "Batches of each size, shared by the threads."),
    spin("", "start-batch-size", 1, 1, 1024, "First batch size."),
    spin("", "max-batch-size", 256, 1, 1024, "Last batch size."),
    spin("", "batch-step", 1, 1, 256, "Step from one size to the next."),
    path("", "plot", "", "Draw it into this file, too: .png or .svg."),
    check("", "header-only-once", False, "Print the header once, not every 32 rows."),
    string("", "fen", "", "The position to evaluate instead of the start position."),
    _threads(1)) + NETWORK

_CHECK = _own(
    combo("", "against", "cpu", _row("Backend").choices, "The back end to compare with."),
    string("", "against-opts", "", "Its parameters."),
    spin("", "positions", 100, 1, 1000000, "How many positions."),
    spin("", "batch", 16, 1, 1024, "Positions evaluated together."),
    real("", "tolerance", 1.0, 1e-9, 1e9,
         "Allowed difference in units of what two 32-bit back ends may differ; 16 bits need about 100, 8 bits 500.")
) + NETWORK

_RAY = (
    string("", "ray", "", "Work on a Ray cluster: auto for the one that runs on this machine, HOST:PORT of its head, or local (docs/cluster.md)."),
    spin("", "worker-cpus", 0, 0, 1024, "Processors of a worker there; 0 for those of the smallest node, and 1 beside a GPU."))

_ANALYSE = _own(
    *_RAY,
    spin("", "nodes", 800, 1, 4000000000, "Visits of a search whose query has no limit."),
    spin("", "searches", 0, 0, 4096, "Searches at once; 0 for as many as fill the back end's batches."))[:-1] + tuple(
    option._replace(default=ANALYSIS.get(option.name, option.default))
    for option in (*NETWORK, *SEARCH, *ENDGAMES, _row("Threads"), _row("SmartPruningFactor"), _row("UCI_Chess960"), _row("RamLimitMb")._replace(
        help="Memory of all trees together; 0 for half of the machine's.")))

_ANNOTATE = _own(
    path("", "input", "", "The games: PGN, plain or as .gz, .bz2 or .zst."),
    path("", "output", "", "The annotated games: a file that ends in .pgn, .jsonl, .parquet or .html.", short="o"),
    spin("", "nodes", 400, 1, 4000000000, "Visits of the search of a position."),
    spin("", "searches", 0, 0, 4096, "Searches at once; 0 for as many as fill the back end's batches."),
    string("", "human", "", "What people would have played: their rating (a Maia net), or a net by name or file."),
    path("", "book", "", "An opening book in Polyglot's format (.bin), whose moves are marked."),
    spin("", "processes", -1, -1, 64, "Processes that read and write games while this one searches; -1 for as many as help, 0 for none."),
    *_RAY,
    check("", "again", False, "Begin anew: replace what is there, finished or not.")
) + tuple(option._replace(short="") for option in _ANALYSE if option.group != "This command")

# As the engine plays, but for what many games at once want: a thread a search, and batches that games fill together. No GUI is in the way.
_MATCH_DEFAULTS = {"Threads": 1, "MaxPrefetch": 0, "MinibatchSize": 8, "MoveOverheadMs": 20}

_MATCH = _own(
    string("", "first", "", "A side: a net, as --weights names one, or the command line of a UCI engine in quotes; the net of --weights if empty."),
    string("", "second", "", "The other side."),
    path("", "output", "", "The games, as PGN. Where there are some of this match, it goes on with the others.", short="o"),
    spin("", "games", 100, 1, 10000000, "How many; two with each opening."),
    string("", "limit", "nodes=100", "Of a move: nodes=N, depth=N, movetime=MS, or tc=SECONDS+INCREMENT, tc=MOVES/SECONDS."),
    string("", "first-limit", "", "Of the first side, where it is another."),
    string("", "second-limit", "", "Of the second side, where it is another."),
    string("", "first-options", "", "Options of the first side, like 'CPuct=2 Threads=1'; after those that stand here for both."),
    string("", "second-options", "", "Options of the second side."),
    string("", "first-name", "", "What the first side is called."),
    string("", "second-name", "", "What the second side is called."),
    path("", "openings", "", "A .pgn or .epd file of openings; random moves without one."),
    check("", "shuffle", False, "Take the openings in an order that the seed decides, not as they come."),
    spin("", "plies", 0, 0, 1000, "Plies of a game in --openings that are played, 0 for all; or number of random moves, 0 for 6."),
    spin("", "seed", 1, 0, 2**31, "Of the openings."),
    spin("", "concurrency", 0, 0, 4096, "Games at once; 0 for as many as fill the batches, or as there are processors for."),
    string("", "sprt", "", "Stop as soon as one of two Elo differences is the likelier one: --sprt=0,10."),
    combo("", "sprt-model", "normalized", ("normalized", "logistic"), "The Elo that is meant there."),
    real("", "alpha", 0.05, 1e-6, 0.5, "Probability of taking the higher one where the lower one holds."),
    real("", "beta", 0.05, 1e-6, 0.5, "Probability of taking the lower one where the higher one holds."),
    string("", "draw", "", "Draw after MOVE,COUNT,CENTIPAWNS: --draw=40,8,10 where from move 40 on the last 8 moves of both had scores within 10."),
    string("", "resign", "", "Give up after COUNT,CENTIPAWNS: --resign=4,900 where both agree for 4 moves that a side is 900 or more behind."),
    spin("", "max-moves", 0, 0, 100000, "Draw after so many moves, the opening's not among them; 0 for never."),
    check("", "table-results", False, "End a game with what the tables of --syzygy-paths say."),
    spin("", "margin", 20, 0, 100000, "Milliseconds that a move may come too late."),
    real("", "silence", 120, 0.1, 1e6, "Seconds without an answer after which an engine without a clock has lost."),
    check("", "again", False, "Begin anew: replace the games that are there.")
) + tuple(option._replace(short="", default=_MATCH_DEFAULTS.get(option.name, option.default)) for option in (
    *NETWORK, *SEARCH, *STOPPING, *ENDGAMES, _row("Threads"), _row("Search"), _row("UCI_Chess960")) if option.kind != "button")

# As games for training are played: with noise, by temperature, each move with all its visits, and nothing in the way of chance.
_SELFPLAY_DEFAULTS = {"MinibatchSize": 32, "CPuct": 1.2, "CPuctFactor": 0.0, "PolicyTemperature": 1.0, "MaxCollisionVisits": 1, "OutOfOrderEval": False,
                      "Temperature": 1.0, "DirichletNoiseEpsilon": 0.25, "FpuValue": 0.0, "HistoryFill": "no", "StickyEndgames": False,
                      "TwoFoldDraws": False, "SmartPruningFactor": 0.0, "Threads": 1, "MaxPrefetch": 0}
_SHOWN = ("Temperature", "TempDecayMoves", "TempDecayDelayMoves", "TempCutoffMove", "TempEndgame", "DirichletNoiseEpsilon", "DirichletNoiseAlpha")

_SELFPLAY = _own(
    path("", "output", "", "The folder of the games. Where there are some of these settings, it goes on with the others.", short="o"),
    spin("", "games", 1000, 1, 10**9, "How many."),
    spin("", "visits", 800, 2, 4000000000, "Of the search of a move."),
    spin("", "parallelism", 0, 0, 256, "Games at once, of each worker; 0 for as many as fill the back end's batches."),
    path("", "openings", "", "A .pgn or .epd file of openings, from which games go on; else from the start position."),
    check("", "shuffle", False, "Take the openings in an order that the seed decides, not as they come."),
    spin("", "plies", 0, 0, 1000, "Plies of a game in --openings that are played, 0 for all; or number of random moves."),
    spin("", "seed", 1, 0, 2**31, "Of what comes before the first search."),
    real("", "resign-percentage", 0, 0, 100, "A side gives up that can expect fewer points than this, in percent; 0 for never."),
    real("", "resign-playthrough", 0, 0, 100, "Percent of the games in which nobody gives up."),
    spin("", "resign-earliest-move", 0, 0, 1000, "From this move on."),
    spin("", "max-moves", 225, 1, 100000, "Draw after so many, the opening's not among them."),
    *_RAY,
    check("", "again", False, "Begin anew: replace the games that are there.")
) + tuple(option._replace(short="", default=_SELFPLAY_DEFAULTS.get(option.name, option.default), show=NORMAL if option.name in _SHOWN else option.show)
          for option in (*NETWORK, *SEARCH, *ENDGAMES, _row("Threads"), _row("SmartPruningFactor"), _row("UCI_Chess960"), _row("RamLimitMb")))

_TOKEN = path("", "token-file", "", "File with the token that clients have to know; serve makes one that is not there. Or set LC0ROCM_TOKEN.")

_SERVE = _own(
    string("", "host", "127.0.0.1", "Address to listen on; others than this machine's own need a token."),
    spin("", "port", 9527, 0, 65535, "Port to listen on; 0 for any that is free."),
    _TOKEN,
    spin("", "clients", 8, 1, 1024, "Served at once."),
    spin("", "client-threads", 2, 1, 128, "Most search threads of a client."),
    real("", "seconds", 600, 1, 1e6, "Most seconds of a search, whatever was asked for."),
    check("", "lichess", False, "Serve lichess's analysis board in place of the socket; LICHESS_API_TOKEN holds the token."),
    string("", "lichess-url", "https://lichess.org", "Where it registers.", show=HIDDEN),
    string("", "engine-url", "https://engine.lichess.ovh", "Where it waits for positions.", show=HIDDEN))[:-1] + tuple(
    option._replace(short="") for option in (*NETWORK, *SEARCH, *STOPPING, *ENDGAMES, *OUTPUT, _row("Threads")._replace(default=1), _row("Search"))
    if option.kind != "button" and option.name != "RamLimitMb") + (_row("RamLimitMb")._replace(
        help="Memory of a client's tree and cache; 0 for its share of half of the machine's."),)

_CONNECT = _own(string("", "server", "", "HOST:PORT of a served engine."), _TOKEN)[:-1]

_COMPARE = _own(
    path("", "first", "", "A result, as --json prints it."),
    path("", "second", "", "The one to compare with it."),
    path("", "plot", "", "Draw both, results of backendbench, into this file: .png or .svg."))

_NETS = _own(
    string("", "fetch", "", "Fetch the net of this name, if it is not here."),
    check("", "all", False, "Fetch all that are not here."))

_TUNE = _own(
    spin("", "max-batch-size", 256, 1, 1024, "Largest batch to measure."),
    check("", "again", False, "Forget all that was measured on this machine, and measure it anew.")) + NETWORK


_EXPORT = _own(
    path("", "output", "", "What to write: a model, net.onnx, or one inside a net file, net.pb or net.pb.gz."),
    check("", "half", False, "Numbers of 16 bits, those of inputs and outputs too."),
    string("", "policy-head", "vanilla", "Which policy head, where the net has several."),
    string("", "value-head", "winner", "Which value head.")) + (_row("WeightsFile"),)


def _bench(settings: Settings) -> int:
    from lc0rocm import bench
    return bench.bench(settings)


def _backendbench(settings: Settings) -> int:
    from lc0rocm import bench
    return bench.backendbench(settings)


def _compare(settings: Settings) -> int:
    from lc0rocm import compare
    return compare.compare(settings)


def _serve(settings: Settings) -> int:
    from lc0rocm.serving import command
    return command.serve(settings)


def _connect(settings: Settings) -> int:
    from lc0rocm.serving import command
    return command.connect(settings)


def _describe(settings: Settings) -> int:
    from lc0rocm import loading
    from lc0rocm.netfile import describe, net
    with report.stages() as tell:
        path, _ = loading.find_network(settings["WeightsFile"], unplayable=True, tell=tell)
    file = net.load(path)
    sections = describe.describe(file)
    if settings["json"]:
        report.write_json(sections)
    else:
        print(describe.text(sections))
    return 0


def _check(settings: Settings) -> int:
    from lc0rocm import check
    return check.check(settings)


def _backends(settings: Settings) -> int:
    from lc0rocm import choose
    columns, rows = choose.backends_report()
    if settings["json"]:
        report.write_json([entry._asdict() for entry in choose.backends().values()])
    else:
        print(report.table(columns, rows))
    return 0


def _tune(settings: Settings) -> int:
    from lc0rocm import tune
    return tune.tune(settings)


def _analyse(settings: Settings) -> int:
    from lc0rocm.analysis import lines, spread
    return spread.run(settings) if settings["ray"] else lines.run(settings)


def _annotate(settings: Settings) -> int:
    from lc0rocm.annotation import command
    return command.run(settings)


def _match(settings: Settings) -> int:
    from lc0rocm.match import command
    return command.run(settings)


def _selfplay(settings: Settings) -> int:
    from lc0rocm.selfplay import command
    return command.run(settings)


def _doctor(settings: Settings) -> int:
    from lc0rocm import doctor
    return doctor.doctor(settings)


def _export(settings: Settings) -> int:
    from lc0rocm import export
    return export.export(settings)


def _nets(settings: Settings) -> int:
    from lc0rocm.netfile import fetch
    known = fetch.nets()
    if settings["fetch"] and settings["fetch"] not in known:
        raise Error(f"there is no net of the name {settings['fetch'][:60]}; lc0rocm nets lists them")
    wanted = [known[settings["fetch"]]] if settings["fetch"] else known.values() if settings["all"] else []
    with report.stages() as tell:
        for net in wanted:
            fetch.get(net, tell)
    entries = fetch.listing()
    if settings["json"]:
        report.write_json(entries)
    else:
        print(fetch.table(entries))
    return 0


def _options(settings: Settings) -> int:
    from lc0rocm import report
    if settings["json"]:
        defaults = Settings(ENGINE)
        report.write_json([{"name": option.name, "flag": option.flag, "short": option.short, "type": option.kind,
                            "default": defaults.value(option), "values": option.domain(), "help": option.help}
                           for option in ENGINE])
    elif settings["markdown"]:
        print(markdown(), end="")
    else:
        print(flags.help_text(ENGINE, show_hidden=True).strip())
    return 0


COMMANDS = {command.name: command for command in (
    Command("uci", "play: speak UCI with a chess GUI (what happens without a command)", None, ENGINE,
            takes=()),
    Command("bench", "nodes per second on 10 positions, in 5 seconds", _bench, _bench_options(500, 10, False),
            "lc0rocm bench --weights=net.pb.gz"),
    Command("benchmark", "nodes per second on 34 positions, and which threads and minibatch are best, in 7 minutes", _bench, _bench_options(10000, 34, True),
            "lc0rocm benchmark --threads=4 --num-positions=5"),
    Command("backendbench", "evaluations per second by batch size, without a search", _backendbench, _BATCH,
            "lc0rocm backendbench --max-batch-size=64 --batch-step=8"),
    Command("compare", "two results of bench, backendbench or check with --json: what differs, and by how much", _compare, _COMPARE,
            "lc0rocm compare before.json after.json", ("first", "second")),
    Command("analyse", "many positions at once: queries in, answers out, a JSON object a line", _analyse, _ANALYSE,
            "lc0rocm analyse net.pb.gz < queries.jsonl > answers.jsonl"),
    Command("annotate", "games with what the engine thinks of each move", _annotate, _ANNOTATE,
            "lc0rocm annotate games.pgn -o annotated.pgn --weights=net.pb.gz", ("input",)),
    Command("match", "games between two nets, options or UCI engines, and the Elo between them", _match, _MATCH,
            "lc0rocm match net.pb.gz maia-1500 -o match.pgn --games=200", ("first", "second")),
    Command("selfplay", "games of a net against itself, as training data", _selfplay, _SELFPLAY,
            "lc0rocm selfplay net.pb.gz -o games --games=1000 --visits=400"),
    Command("serve", "the engine for other machines: UCI over a socket, or lichess's analysis board", _serve, _SERVE,
            "lc0rocm serve --host=0.0.0.0 --token-file=token"),
    Command("connect", "speak UCI with a served engine, for a GUI on this machine", _connect, _CONNECT,
            "lc0rocm connect gpu.example.org:9527 --token-file=token", ("server",)),
    Command("describe", "a network in words and numbers", _describe, _own() + (_row("WeightsFile"),),
            "lc0rocm describe net.pb.gz"),
    Command("export", "a network as an ONNX model, for other programs", _export, _EXPORT,
            "lc0rocm export net.onnx --weights=net.pb.gz", ("output",)),
    Command("nets", "the nets that are fetched by name, and which are here", _nets, _NETS, "lc0rocm nets maia-1500", ("fetch",)),
    Command("check", "compare two back ends on the same positions", _check, _CHECK,
            "lc0rocm check --backend=cpu-bf16 --against=cpu --tolerance=100"),
    Command("backends", "what can evaluate networks on this machine, and what cannot and why", _backends, _own(),
            takes=()),
    Command("tune", "measure on the GPU what loading a network has no time for", _tune, _TUNE, "lc0rocm tune net.pb.gz"),
    Command("doctor", "what stands between the engine and a GPU, and the next command to type", _doctor, _own() + NETWORK,
            "lc0rocm doctor --json"),
    Command("options", "every option of the engine", _options,
            _own(check("", "markdown", False, "Print docs/options.md.")), takes=()),
)}
ALIASES = {"describenet": ["describe"]} | {search: ["uci", f"--search={search}"] for search in SEARCHES}


def main(arguments: Sequence[str] | None = None) -> int:
    try:
        if sys.stdout is None:
            raise Error("standard output is closed; the results go there")
        if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":  # a name that it has no letters for costs no result
            sys.stdout.reconfigure(errors="backslashreplace")
        code = _main(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()  # here, where a full disk can still be said
        return code
    except Error as error:
        return _failed(str(error))
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # one is enough
        return 130
    except BrokenPipeError:  # the reader has seen enough, as in `lc0rocm options | head`
        _discard_output()
        return 0
    except OSError as error:  # files that are named in options have errors of their own: this is a stream or the system
        _discard_output()
        return _failed(f"{error.strerror or error}: " + (f"{error.filename}" if error.filename else "cannot write the output"))
    except MemoryError:
        return _failed("not enough memory")
    except ImportError:
        raise  # __main__.py has a sentence for it
    except Exception as error:  # never 1, which says that a difference was found
        import traceback
        traceback.print_exc()
        return _failed(f"internal error: {type(error).__name__}: {error}")


def _failed(sentence: str) -> int:
    with contextlib.suppress(OSError):
        report.say(sentence)
    return 2


def _discard_output() -> None:
    """What is still in the buffer would fail again at the end of the process."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _main(arguments: list[str]) -> int:
    arguments = [*ALIASES.get(arguments[0], arguments[:1]), *arguments[1:]] if arguments else []
    name = arguments[0] if arguments else "uci"
    command = COMMANDS.get(name)
    if command:
        arguments = arguments[1:]
    elif name == "help":
        return _help(None, False)
    elif name.startswith("-"):
        command = COMMANDS["uci"]
    else:
        import difflib
        near = difflib.get_close_matches(name, [*COMMANDS, *ALIASES], 1)
        raise Error(f"there is no command '{name[:60]}'"
                    + (f"; did you mean {near[0]}?" if near else f"; there are {', '.join(COMMANDS)}"))

    show_hidden = "--show-hidden" in arguments
    wants_help = bool({"-h", "--help"} & set(arguments))
    if "--version" in arguments:
        print(f"lc0rocm {VERSION}")
        return 0
    arguments = [word for word in arguments if word not in ("-h", "--help", "--show-hidden")]
    settings = Settings(command.options)
    warnings: list[str] = []
    positional = flags.parse(arguments, settings, warnings)
    for key, word in zip(command.takes, positional):
        settings.values[key] = word
    if positional := positional[len(command.takes):]:
        advice = "the command comes first" if positional[0] in COMMANDS else f"see lc0rocm {command.name} --help"
        raise Error(f"unexpected '{positional[0][:60]}'; {advice}")
    if wants_help:
        return _help(command if name in COMMANDS or show_hidden else None, show_hidden)
    for warning in warnings:
        report.say(warning)
    return command.run(settings) if command.run else _play(settings, arguments, show_hidden)


def _play(given: Settings, arguments: list[str], show_hidden: bool) -> int:
    """UCI; the flags of a configuration file come before those of the command line, which so have the last word."""
    from lc0rocm.engine import play, uci
    settings = Settings(ENGINE)
    _configure(settings, given["ConfigFile"])
    flags.parse(arguments, settings, [])
    play.check_settings(settings)
    if sys.stdin is not None and sys.stdin.isatty():
        print(f"lc0rocm {VERSION} speaks UCI, the language of chess GUIs: try 'position startpos', 'go nodes 100', "
              "'quit'; lc0rocm --help shows what else there is", file=sys.stderr)
    return uci.run(settings, show_hidden)


def _configure(settings: Settings, named: str) -> None:
    """Takes the flags of a configuration file. Raises Error if one that was named has a mistake; one that was found may be another
    engine's: what does not fit is said and left out."""
    from lc0rocm import config
    found = config.find_config(report.say) if named == _row("ConfigFile").default else None
    file = found or (pathlib.Path(named) if named and named != _row("ConfigFile").default else None)
    if not file:
        return
    try:
        lines = config.config_flags(file)
    except Error as error:
        if not found:
            raise
        report.say(str(error))
        return
    report.say(f"flags from {file}")
    for words in lines:
        before = dict(settings.values)
        warnings: list[str] = []
        try:
            if surplus := flags.parse(words, settings, warnings):
                raise Error(f"unexpected '{surplus[0][:60]}'")
            _check_line(settings, before, found)
        except Error as error:
            if not found:
                raise Error(f"{file}: {error}") from None
            settings.values = before
            warnings = [f"{error}; this line is left out"]
        for warning in warnings:
            report.say(f"{file}: {warning}")


def _check_line(settings: Settings, before: dict, found: pathlib.Path | None) -> None:
    from lc0rocm.engine import play
    play.check_settings(settings)
    changed = {key for key, value in settings.values.items() if value != before[key]}
    if found and found.name == "lc0.config" and changed & {"Backend", "BackendOptions"}:
        raise Error(f"the back ends of another engine are not ours; lc0rocm.config may set {', '.join(changed)}")
    weights = settings["WeightsFile"]
    if found and "WeightsFile" in changed and weights and not weights.startswith("<") and not os.path.isfile(weights):
        from lc0rocm.netfile import fetch
        if weights not in fetch.nets():
            raise Error(f"there is no network {weights}")


def _help(command: Command | None, show_hidden: bool) -> int:
    if command is None:
        print(f"lc0rocm {VERSION}, a UCI chess engine that runs Lc0 networks on AMD GPUs and on the CPU.\n\n"
              "Usage: lc0rocm [COMMAND] [--flag=value ...]\n\nAdd it to a chess GUI as it is, or run a command:\n")
        for entry in COMMANDS.values():
            print(f"  {entry.name:<13} {entry.summary}")
        print("\nlc0rocm COMMAND --help explains a command, lc0rocm uci --help the flags of the engine.\n"
              "First steps: lc0rocm backends; lc0rocm bench; lc0rocm describe net.pb.gz")
        return 0
    print(f"lc0rocm {command.name}: {command.summary}.\n\nUsage: lc0rocm {command.name} [--flag=value ...]"
          + (f"\nExample: {command.example}" if command.example else ""))
    print(flags.help_text(command.options, show_hidden))
    print("\n--show-hidden lists the rare flags too." if not show_hidden else "")
    return 0
