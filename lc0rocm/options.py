"""The options of the engine, each declared once: this table feeds `uci`, `setoption`, the command line, `--help` and docs/options.md.
Names, types, defaults and ranges are Lc0's. What the core's search obeys is declared there, in src/search/params.cc; rows made by
core() add what people see of it."""
import warnings
from typing import Any, Callable, Collection, Mapping

from lc0rocm import contempt, gpu, strength
from lc0rocm._core import Error, registered_backends, search_options
from lc0rocm.option import ALWAYS, GO, HIDDEN, NEVER, NOW, POSITION, START, Alias, Option, Settings, value_text


ONNX = "onnx"  # the back end that is Python's own: onnx_backend.py
CPU_AUTO = "cpu-auto"  # what cpu.py makes one of the core's


def backend_names() -> tuple[str, ...]:
    """What the option Backend takes. Asks no GPU: GUIs want the list at once."""
    return ("auto", *sorted({entry[0] for entry in registered_backends()} | {*gpu.NAMES, CPU_AUTO, ONNX}))


def check(name: str, flag: str, default: bool, help: str, **more) -> Option:
    return Option(name, flag, "check", default, help, **more)


def spin(name: str, flag: str, default: int, low: int, high: int, help: str, **more) -> Option:
    return Option(name, flag, "spin", default, help, low, high, **more)


def real(name: str, flag: str, default: float, low: float, high: float, help: str, **more) -> Option:
    return Option(name, flag, "float", default, help, low, high, **more)


def string(name: str, flag: str, default: str, help: str, **more) -> Option:
    return Option(name, flag, "string", default, help, **more)


def path(name: str, flag: str, default: str, help: str, **more) -> Option:
    return Option(name, flag, "path", default, help, **more)


def combo(name: str, flag: str, default: str, choices, help: str, **more) -> Option:
    return Option(name, flag, "combo", default, help, choices=choices, **more)


_CORE = {row["name"]: row for row in search_options()}


def core(name: str, flag: str, help: str, **more) -> Option:
    """An option of the core's search: its kind, default, range and when it acts are the core's."""
    row = _CORE[name]
    return Option(name, flag, row["kind"], row["default"], help, row["low"], row["high"], row["choices"], core=True,
                  in_nodes=row["in_nodes"], when=NOW if row["live"] else GO, **more)


def _group(title: str, *options: Option) -> tuple[Option, ...]:
    return tuple(option._replace(group=title) for option in options)


TREES = ("classic", "dag")
SEARCHES = (*TREES, "policyhead", "valuehead")

PROCESS = _group(
    "Process and game",
    path("LogFile", "logfile", "", "Append everything received and sent to this file, or to <stderr>.", short="l", show=ALWAYS, when=NOW),
    path("ConfigFile", "config", "lc0rocm.config", "File with one flag a line, read before the command line's own flags; empty for none.",
         short="c", when=START),
    check("Ponder", "", False, "The GUI will think on the opponent's time; go ponder works with it and without.", show=ALWAYS),
    check("", "preload", False, "Load the network at program start instead of at isready.", when=START),
    combo("Search", "search", SEARCHES[0], SEARCHES,
          "How a move is found: classic, by a tree; dag, by a graph in which what is reached in several ways is one position; policyhead, "
          "by the network's policy alone; valuehead, by its value after each move."),
    core("Threads", "threads", "Search threads; 0 takes the back end's suggestion, plus one beside a GPU.", short="t", show=ALWAYS),
)

SEARCH = _group(
    "Search",
    core("MinibatchSize", "minibatch-size", "Positions to evaluate together; 0 takes the back end's suggestion."),
    core("CPuct", "cpuct", "Exploration: larger looks at more moves, smaller looks deeper."),
    core("CPuctAtRoot", "cpuct-at-root", "CPuct at the root, with RootHasOwnCpuctParams.", show=HIDDEN),
    core("CPuctBase", "cpuct-base", "Visits at which exploration starts to grow."),
    core("CPuctBaseAtRoot", "cpuct-base-at-root", "CPuctBase at the root, with RootHasOwnCpuctParams.", show=HIDDEN),
    core("CPuctFactor", "cpuct-factor", "Strength of that growth."),
    core("CPuctFactorAtRoot", "cpuct-factor-at-root", "CPuctFactor at the root, with RootHasOwnCpuctParams.", show=HIDDEN),
    core("RootHasOwnCpuctParams", "root-has-own-cpuct-params", "Use the three AtRoot values at the root.", show=HIDDEN),
    core("TwoFoldDraws", "two-fold-draws", "Score a second occurrence inside the tree as a draw."),
    core("Temperature", "temperature", "Randomness of the move choice; 0 plays the best move.", show=HIDDEN),
    core("TempDecayMoves", "tempdecay-moves", "Moves over which the temperature falls to zero.", show=HIDDEN),
    core("TempDecayDelayMoves", "tempdecay-delay-moves", "Moves before it starts to fall.", show=HIDDEN),
    core("TempCutoffMove", "temp-cutoff-move", "From this move on use TempEndgame; 0 for never.", show=HIDDEN),
    core("TempEndgame", "temp-endgame", "Temperature late in the game, and the floor of the decay.", show=HIDDEN),
    core("TempValueCutoff", "temp-value-cutoff", "Never sample a move this many win-percent points worse than the best.", show=HIDDEN),
    core("TempVisitOffset", "temp-visit-offset", "Added to the visit counts when sampling.", show=HIDDEN),
    core("DirichletNoiseEpsilon", "noise-epsilon", "Share of noise in the root's move probabilities.", show=HIDDEN),
    core("DirichletNoiseAlpha", "noise-alpha", "Shape of that noise.", show=HIDDEN),
    check("VerboseMoveStats", "verbose-move-stats", False, "Print a line for every root move before bestmove.",
          short="v", when=NOW),
    check("LogLiveStats", "log-live-stats", False,
          "The lines of VerboseMoveStats after every info line too; without VerboseMoveStats only in the log file.",
          show=HIDDEN, when=NOW),
    core("FpuStrategy", "fpu-strategy", "Value of a move not visited yet: the parent's less FpuValue, or FpuValue itself."),
    core("FpuValue", "fpu-value", "Number for FpuStrategy."),
    core("FpuStrategyAtRoot", "fpu-strategy-at-root", "FpuStrategy at the root.", show=HIDDEN),
    core("FpuValueAtRoot", "fpu-value-at-root", "FpuValue at the root, unless FpuStrategyAtRoot is same.", show=HIDDEN),
    core("MaxCollisionVisits", "max-collision-visits", "Visits of a batch that may meet a leaf already taken, in a large tree."),
    core("MaxCollisionVisitsScalingStart", "max-collision-visits-scaling-start", "Tree size up to which that budget is 1."),
    core("MaxCollisionVisitsScalingEnd", "max-collision-visits-scaling-end", "Tree size from which the budget is full; 0 for always."),
    core("MaxCollisionVisitsScalingPower", "max-collision-visits-scaling-power", "Exponent of the curve between the two."),
    core("OutOfOrderEval", "out-of-order-eval", "Use known results at once while a batch is still being gathered."),
    core("MaxOutOfOrderEvalsFactor", "max-out-of-order-evals-factor", "Most of these, as a multiple of the batch."),
    core("StickyEndgames", "sticky-endgames", "Carry proven wins, draws and losses up the tree."),
    core("MultiPV", "multipv", "Number of lines to show.", show=ALWAYS),
    core("PerPVCounters", "per-pv-counters", "Show as nodes the visits of each line's move."),
    core("ScoreType", "score-type", "What score cp means."),
    core("MovesLeftMaxEffect", "moves-left-max-effect", "Largest bonus for a shorter win or a longer loss."),
    core("MovesLeftThreshold", "moves-left-threshold", "Advantage from which that bonus counts."),
    core("MovesLeftSlope", "moves-left-slope", "Bonus for each ply of difference."),
    core("MovesLeftConstantFactor", "moves-left-constant-factor", "Weight of the bonus: constant term."),
    core("MovesLeftScaledFactor", "moves-left-scaled-factor", "Weight of the bonus: term in |Q|."),
    core("MovesLeftQuadraticFactor", "moves-left-quadratic-factor", "Weight of the bonus: term in Q squared."),
    core("DrawScore", "draw-score", "Worth of a draw to White; -1 is Armageddon."),
    combo("ContemptMode", "contempt-mode", "play", ("play", "white_side_analysis", "black_side_analysis", "disable"),
          "The side that plays for more than the position: the engine's, White, Black, none.", in_nodes=True),
    string("Contempt", "contempt", "",
           "Rating advantage, as a number or as a list name=number for names in UCI_Opponent.", show=ALWAYS, in_nodes=True),
    real("ContemptMaxValue", "contempt-max-value", 420, 0, 10000, "Most contempt to use.", show=HIDDEN, in_nodes=True),
    real("WDLCalibrationElo", "wdl-calibration-elo", 0, 0, 10000,
         "Own rating, for draw rates between players of that strength; 0 keeps the network's.", in_nodes=True),
    real("WDLContemptAttenuation", "wdl-contempt-attenuation", 1.0, -10, 10, "Multiplies contempt.", show=HIDDEN, in_nodes=True),
    core("WDLMaxS", "wdl-max-s", "Limit on how unclear a position can be taken to be.", show=HIDDEN),
    core("WDLEvalObjectivity", "wdl-eval-objectivity", "How much of the contempt is taken out of shown scores."),
    real("WDLDrawRateTarget", "wdl-draw-rate-target", 0, 0, 0.999,
         "Draw rate to expect between equal players; 0 for the network's.", show=HIDDEN, in_nodes=True),
    real("WDLDrawRateReference", "wdl-draw-rate-reference", 0.5, 0.001, 0.999, "Draw rate that the network itself expects.", in_nodes=True),
    real("WDLBookExitBias", "wdl-book-exit-bias", 0.65, -2, 2, "Advantage that openings give White.", show=HIDDEN, in_nodes=True),
    core("NodesPerSecondLimit", "nps-limit", "Slow down to this speed; 0 for full speed."),
    core("IdlingMinimumWork", "idling-minimum-work", "Positions gathered before a thread may start early because the back end idles."),
    core("ThreadIdlingThreshold", "thread-idling-threshold", "More threads than this outside the back end count as idling."),
    check("UCI_AnalyseMode", "", False, "The GUI analyses: contempt is off unless ContemptMode names a side.", in_nodes=True),
    string("UCI_Opponent", "", "", "Who the opponent is; GUIs set it.", in_nodes=True),
    real("UCI_RatingAdv", "", 0, -10000, 10000, "Rating advantage; GUIs set it, Contempt overrides it.", in_nodes=True),
    core("MaxPrefetch", "max-prefetch",
         "Fill small batches up to this size with positions that may be needed soon; on a GPU only, where it costs nothing."),
)

STOPPING = _group(
    "Stopping and time",
    core("KLDGainAverageInterval", "kldgain-average-interval", "Visits between checks of MinimumKLDGainPerNode.", show=HIDDEN),
    core("MinimumKLDGainPerNode", "minimum-kldgain-per-node", "Stop when a visit teaches less than this; 0 for never.", show=HIDDEN),
    core("SmartPruningFactor", "smart-pruning-factor", "Stop when no other move can catch up any more; larger stops sooner, 0 never."),
    core("SmartPruningMinimumBatches", "smart-pruning-minimum-batches", "Batches before that may stop the search."),
    spin("NodesLimit", "nodes-limit", 0, 0, 4000000000, "Most nodes of any go, also where the GUI cannot say go nodes; 1 plays the policy; 0 for no limit."),
    core("NodesAsPlayouts", "nodes-as-playouts", "go nodes counts new visits only.", show=HIDDEN),
    core("RamLimitMb", "ramlimit-mb", "Stop near this much memory; 0 for no limit.", show=ALWAYS),
    spin("MoveOverheadMs", "move-overhead", 200, 0, 100000000, "Time kept back for each move, in milliseconds.",
         show=ALWAYS),
    string("TimeManager", "time-manager", "legacy", "legacy, smooth, simple or alphazero, with parameters in parentheses."),
    real("Slowmover", "slowmover", 1.0, 0, 100, "Short for TimeManager legacy(slowmover=...).", show=HIDDEN),
    Option("ClearTree", "", "button", None, "Forget the tree at the next go.", show=HIDDEN),
)

OUTPUT = _group(
    "Output",
    check("UCI_Chess960", "chess960", False, "Write castling as king takes rook.", show=ALWAYS, when=NOW),
    check("UCI_ShowWDL", "show-wdl", False, "Show win, draw and loss in permille.", show=ALWAYS, when=NOW),
    check("UCI_ShowEPS", "show-eps", False, "Show network evaluations a second.", show=ALWAYS, when=NOW),
    check("MoveStats", "move-stats", False,
          "Before bestmove a line of keys and values for every legal move: policy, visits, q, win, draw, loss, movesleft (docs/uci.md).", when=NOW),
    check("SpeedStats", "speed-stats", False,
          "After the info lines one on speed: average batch, hits of the evaluation cache, idle time of the back end (docs/uci.md).", when=NOW),
    check("UCI_ShowMovesLeft", "show-movesleft", False, "Show the expected number of moves left.", show=ALWAYS,
          when=NOW),
)

_MOST_POSITIONS = 999999999  # in the evaluation cache
_POSITION_BYTES = 140  # of one there, about

NETWORK = _group(
    "Network and back end",
    real("PolicyTemperature", "policy-softmax-temp", 1.359, 0.1, 10,
         "Flattens (above 1) or sharpens the network's move probabilities.", in_nodes=True),
    combo("HistoryFill", "history-fill", "fen_only", ("no", "fen_only", "always"),
          "When to make up positions before the first known one.", in_nodes=True),
    path("WeightsFile", "weights", "<autodiscover>",
         "Network file (.pb or .pb.gz), or the name of a net that lc0rocm nets lists; <autodiscover> takes the newest in the usual folders.",
         short="w", show=ALWAYS, when=POSITION, in_nodes=True),
    combo("Backend", "backend", "auto", backend_names, "What evaluates the network; auto takes the best that runs here.",
          short="b", when=POSITION, in_nodes=True),
    string("BackendOptions", "backend-opts", "",
           "Parameters of the back end, like threads=2 or policy_head=optimistic.", short="o", when=POSITION, in_nodes=True),
    spin("NNCacheSize", "nncache", 2000000, 0, _MOST_POSITIONS, "Evaluations to remember; fewer where memory does not suffice."),
)

OTHER_NAMES = _group(
    "Names of other engines",
    spin("Hash", "", 0, 0, 2**25, "NNCacheSize in megabytes.",
         alias=Alias("NNCacheSize", lambda megabytes: min(megabytes * 2**20 // _POSITION_BYTES, _MOST_POSITIONS),
                     lambda positions: round(positions * _POSITION_BYTES / 2**20))),
    Option("Clear Hash", "", "button", None, "ClearTree.", alias=Alias("ClearTree")),
    spin("Move Overhead", "", 0, 0, 100000000, "MoveOverheadMs.", alias=Alias("MoveOverheadMs")),
    spin("Slow Mover", "", 0, 0, 10000, "Slowmover in percent.",
         alias=Alias("Slowmover", lambda percent: percent / 100, lambda factor: round(100 * factor))),
)

ENDGAMES = _group(
    "Endgame tables",
    path("SyzygyPath", "syzygy-paths", "", "Folders with Syzygy tables, with : between them.", short="s", show=ALWAYS, when=POSITION, in_nodes=True),
    core("SyzygyFastPlay", "syzygy-fast-play", "Of a position won by the tables take the shortest way to the next capture or pawn move."),
)

STRENGTH = _group(
    "Playing at a rating",
    check("UCI_LimitStrength", "limit-strength", False,
          "Play at UCI_Elo, like a human as far as that goes: by a Maia network that is here, else by the package's own.", show=ALWAYS, when=POSITION),
    spin("UCI_Elo", "elo", 1500, strength.LOWEST, strength.HIGHEST, "The rating, by games against Stockfish's.", show=ALWAYS, when=POSITION),
)

IGNORED = tuple(option._replace(group="Accepted, without effect", when=NEVER) for option in (
    spin("SyzygyProbeDepth", "", 1, 1, 100, "Tables are asked at any depth."),
    spin("SyzygyProbeLimit", "", 7, 0, 7, "Tables of any number of men are asked."),
    check("Syzygy50MoveRule", "", True, "The 50-move rule always counts."),
    check("StrictTiming", "strict-uci-timing", False, "The clock always starts when go arrives."),
    check("OwnBook", "", False, "There is no opening book here."),
    spin("MaxConcurrentSearchers", "max-concurrent-searchers", 1, 0, 128, "Threads gather in turns here."),
    spin("CacheHistoryLength", "cache-history-length", 0, 0, 7, "Of another search of Lc0."),
    spin("MaxCollisionEvents", "max-collision-events", 917, 1, 65536, "MaxCollisionVisits is the limit."),
    spin("TaskWorkers", "task-workers", -1, -1, 128, "A thread of the search does all of its work itself."),
    spin("MinimumProcessingWork", "minimum-processing-work", 20, 2, 100000, "See TaskWorkers."),
    spin("MinimumPickingWork", "minimum-picking-work", 1, 1, 100000, "See TaskWorkers."),
    spin("MinimumRemainingPickingWork", "minimum-remaining-picking-work", 20, 0, 100000, "See TaskWorkers."),
    spin("MinimumPerTaskProcessing", "minimum-per-task-processing", 8, 1, 100000, "See TaskWorkers."),
    check("SearchSpinBackoff", "search-spin-backoff", False, "Threads wait for each other in another way."),
    real("GarbageCollectionDelay", "garbage-collection-delay", 10, 0, 100, "Of another search of Lc0."),
    spin("SolidTreeThreshold", "solid-tree-threshold", 100, 1, 2000000000, "The tree lies in memory in another way."),
))

# Other names come first: a GUI that sends every option, in this order, lets our own names have the last word.
ENGINE = OTHER_NAMES + PROCESS + SEARCH + STOPPING + OUTPUT + NETWORK + ENDGAMES + STRENGTH + IGNORED


def node_values(settings: Settings, limited: strength.Strength | None) -> tuple:
    """Of the options whose values the nodes of a tree hold, and the network that a limited strength plays with."""
    return (*(settings[option.key] for option in settings.options if option.in_nodes), limited and limited.weights)


def tree_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Of the options that a saved tree depends on, by name. Which network, is known better than by its path; what else evaluates it and which
    endgame tables there are makes it no other."""
    return {option.name: values[option.key] for option in ENGINE
            if (option.in_nodes or option.name == "Search") and option.name not in ("WeightsFile", "Backend", "BackendOptions", "SyzygyPath")}


def core_parameters(settings: Settings, contempt_sign: int) -> dict[str, Any]:
    """What the core's search takes, by name. contempt_sign: whom contempt favours, see contempt.sign."""
    rescale = contempt.rescale(settings)
    parameters = {option.name: settings[option.name] for option in settings.options if option.core}
    parameters |= {"WDLRescaleRatio": rescale.ratio, "WDLRescaleDiff": rescale.diff, "ContemptSign": contempt_sign,
                   "Graph": "on" if settings["Search"] == "dag" else "off"}
    return parameters


def live_parameters(settings: Settings, limited: strength.Strength | None) -> dict[str, Any]:
    """Those of the core's search that act while it runs, by name."""
    decided = limited.of_a_search if limited else {}
    return {option.name: decided.get(option.name, settings[option.name]) for option in settings.options if option.core and option.when == NOW}


def cache_positions(settings: contempt.Values) -> int:
    """How many positions the evaluation cache is to hold: NNCacheSize, but no more than half of what RamLimitMb allows."""
    limit = settings["RamLimitMb"] * 10**6 // 2 // _POSITION_BYTES
    return min(settings["NNCacheSize"], limit) if limit else settings["NNCacheSize"]


# Options without effect because of another's value, for as long as it is so.
_IDLE: tuple[tuple[tuple[str, ...], str, Callable[[Mapping[str, Any]], bool]], ...] = (
    (("CPuctAtRoot", "CPuctBaseAtRoot", "CPuctFactorAtRoot"), "RootHasOwnCpuctParams is false", lambda s: not s["RootHasOwnCpuctParams"]),
    (("FpuValueAtRoot",), "FpuStrategyAtRoot is same", lambda s: s["FpuStrategyAtRoot"] == "same"),
    (("TempDecayMoves",), "Temperature is 0", lambda s: s["Temperature"] == 0),
    (("TempDecayDelayMoves",), "TempDecayMoves is 0", lambda s: s["TempDecayMoves"] == 0),
    (("DirichletNoiseAlpha",), "DirichletNoiseEpsilon is 0", lambda s: s["DirichletNoiseEpsilon"] == 0),
    (("KLDGainAverageInterval",), "MinimumKLDGainPerNode is 0", lambda s: s["MinimumKLDGainPerNode"] == 0),
    (("SmartPruningMinimumBatches",), "SmartPruningFactor is 0", lambda s: s["SmartPruningFactor"] == 0),
    (("MaxOutOfOrderEvalsFactor",), "OutOfOrderEval is false", lambda s: not s["OutOfOrderEval"]),
    (("UCI_Elo",), "UCI_LimitStrength is false", lambda s: not s["UCI_LimitStrength"]),
    (("WDLDrawRateTarget", "WDLBookExitBias"), "WDLCalibrationElo is set", lambda s: s["WDLCalibrationElo"] != 0),
)


def idle(settings: Settings) -> list[str]:
    """A line for each option that was set and does nothing because of another's value."""
    return [f"{name} has no effect while {reason}" for names, reason, holds in _IDLE if holds(settings.values) for name in names
            if (option := settings.option(name)) and settings[name] != option.default]


# Where many positions are analysed at once other values are usual than in play: together they fill the batches, so that each search needs
# one thread and nothing to fill them with; and whoever asks for a number of visits gets it.
ANALYSIS = {"Threads": 1, "MaxPrefetch": 0, "SmartPruningFactor": 0.0}

_OF_THE_NETWORK = {"WeightsFile": "weights", "Backend": "backend", "BackendOptions": "backend_options"}


def search_settings(given: Mapping[str, Any], where: str = "an Engine", own: Collection[str] = ()) -> tuple[Settings, list[str]]:
    """All options with those of `given`, by UCI name, set; and a line for each that has no effect there. own: names of options that act
    there beside those of the core. Raises Error for an unknown option, a value out of range and an option of the network."""
    settings, remarks = Settings(ENGINE), []
    for name, value in given.items():
        option = settings.option(name)
        if not option:
            raise Error(f"there is no option '{name[:60]}'; `lc0rocm options` lists them")
        if option.name in _OF_THE_NETWORK:
            raise Error(f"{option.name} is no option of {where}; give it to lc0rocm.Network as {_OF_THE_NETWORK[option.name]}=")
        changed = settings.set(option, value_text(value))
        acts = changed.core or changed.in_nodes or changed.name in ("NNCacheSize", *own) or settings[changed.key] in TREES
        if not acts and settings[changed.key] != changed.default:
            remarks.append(f"{option.name} has no effect in {where}")
    return settings, remarks + idle(settings)


def search_parameters(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options by UCI name to the core's parameters, and all values by name. Raises Error as search_settings does, and for a ContemptMode
    that depends on the colour of the side to move; warns of options that have no effect."""
    settings, remarks = search_settings(given)
    if settings["ContemptMode"] not in ("play", "disable"):
        raise Error("ContemptMode is play or disable here")
    for remark in remarks:
        warnings.warn(remark, stacklevel=3)
    return core_parameters(settings, int(settings["ContemptMode"] == "play" and not settings["UCI_AnalyseMode"])), settings.values


def markdown() -> str:
    """docs/options.md."""
    lines = ["# Options", "", "Written by `lc0rocm options --markdown`; the table is `lc0rocm/options.py`.", "",
             "Set them on the command line (`--name=value`, `--name` and `--no-name` for yes and no), in a file",
             "`lc0rocm.config` (one flag a line), or over UCI (`setoption name NAME value VALUE`). Options marked *",
             "are listed with `--show-hidden` only. Paths may stand in quotes and begin with `~`."]
    defaults = Settings(ENGINE)
    for title in dict.fromkeys(option.group for option in ENGINE):
        lines += ["", f"## {title}", "",
                  "| option | flag | default | values | takes effect | |", "|---|---|---|---|---|---|"]
        for option in (option for option in ENGINE if option.group == title):
            name = (f"`{option.name}`" if option.name else "") + ("*" if option.show == HIDDEN else "")
            flags = ", ".join(f"`{flag}`" for flag in ("--" + option.flag, "-" + option.short) if flag.strip("-"))
            values = "see `lc0rocm backends`" if option.name == "Backend" else option.domain()
            value = defaults.value(option)
            default = f"`{value_text(value)}`" if value not in ("", None) else ""
            lines.append(f"| {name} | {flags} | {default} | {values} | {option.when} | {option.help} |")
    return "\n".join(lines) + "\n"
