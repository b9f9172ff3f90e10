"""The options of the engine, each declared once: this table feeds `uci`, `setoption`, the command line, `--help` and docs/options.md.
Names, types, defaults and ranges are Lc0's. What the core's search obeys is declared there, in src/search/params.cc; rows made by
core() add what people see of it."""
import math
from typing import Any, Callable, Mapping, NamedTuple

from lc0rocm.engine import contempt
from lc0rocm._core import Error, search_options

ALWAYS, NORMAL, HIDDEN = "always", "normal", "hidden"  # who sees it listed; every option can be set by everybody
NOW, GO, POSITION, START = "at once", "next go", "next isready or go", "program start"


class Option(NamedTuple):
    name: str  # UCI name; "" for one that only the command line has
    flag: str  # long flag without its dashes; "" for one that only UCI has
    kind: str  # check, spin, float, string, combo, button
    default: Any
    help: str
    low: float = 0
    high: float = 0
    choices: tuple[str, ...] | Callable[[], tuple[str, ...]] = ()
    short: str = ""
    show: str = NORMAL
    when: str = GO
    group: str = ""
    core: bool = False  # the core's search takes it, by this name
    in_nodes: bool = False  # the nodes of a tree hold what it says: after a change the tree is worth nothing

    @property
    def key(self) -> str:
        return self.name or self.flag

    def choice_list(self) -> tuple[str, ...]:
        return self.choices() if callable(self.choices) else self.choices

    def parse(self, text: str) -> Any:
        """The value that `text` means. Raises Error with what would be right."""
        try:
            if self.kind == "check":
                return {"true": True, "false": False}[text]
            if self.kind in ("spin", "float"):
                value = int(text) if self.kind == "spin" else float(text)
                if not self.low <= value <= self.high:  # refuses nan too
                    raise ValueError
                return value
        except (KeyError, ValueError):
            raise Error(f"{self.key} takes {self.domain()}, not '{text[:80]}'") from None
        if self.kind == "combo" and text not in self.choice_list():
            raise Error(f"{self.key} takes {self.domain()}, not '{text[:80]}'")
        return text

    def domain(self) -> str:
        """What it takes, in words."""
        if self.kind == "check":
            return "true or false"
        if self.kind in ("spin", "float"):
            number = "a whole number" if self.kind == "spin" else "a number"
            return f"{number} from {self.low:.10g} to {self.high:.10g}"
        return "one of " + ", ".join(self.choice_list()) if self.kind == "combo" else "text"

    def uci_line(self, value: Any) -> str:
        """The line that advertises it; the default is the present value."""
        head = f"option name {self.name} type "
        if self.kind == "check":
            return head + f"check default {str(value).lower()}"
        if self.kind == "spin":
            return head + f"spin default {value} min {self.low:.0f} max {self.high:.0f}"
        if self.kind == "float":
            return head + f"string default {value:.6f}"
        if self.kind == "combo":
            return head + f"combo default {value} " + " ".join("var " + choice for choice in self.choice_list())
        return head + ("button" if self.kind == "button" else f"string default {value}")


class Settings:
    """The present values of some options, by name (by flag for those without one)."""

    def __init__(self, options: "tuple[Option, ...]"):
        self.options = options
        self.values = {option.key: option.default for option in options}
        self._by_name = {option.name.lower(): option for option in options if option.name}

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    def option(self, name: str) -> Option | None:
        """By its UCI name in any case."""
        return self._by_name.get(name.lower())

    def set(self, option: Option, text: str) -> None:
        if option.kind != "button":
            self.values[option.key] = option.parse(text)


def _backends() -> tuple[str, ...]:
    from lc0rocm.choose import backend_names
    return backend_names()


def check(name: str, flag: str, default: bool, help: str, **more) -> Option:
    return Option(name, flag, "check", default, help, **more)


def spin(name: str, flag: str, default: int, low: int, high: int, help: str, **more) -> Option:
    return Option(name, flag, "spin", default, help, low, high, **more)


def real(name: str, flag: str, default: float, low: float, high: float, help: str, **more) -> Option:
    return Option(name, flag, "float", default, help, low, high, **more)


def string(name: str, flag: str, default: str, help: str, **more) -> Option:
    return Option(name, flag, "string", default, help, **more)


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


PROCESS = _group(
    "Process and game",
    string("LogFile", "logfile", "", "Append everything received and sent to this file, or to <stderr>.", short="l",
           show=ALWAYS, when=NOW),
    string("ConfigFile", "config", "lc0rocm.config",
           "File with one flag a line, read before the command line's own flags; empty for none.", short="c",
           when=START),
    check("Ponder", "", False, "The GUI will think on the opponent's time; go ponder works with it and without.", show=ALWAYS),
    check("StrictTiming", "strict-uci-timing", False,
          "Accepted, without effect: the clock always starts when go arrives.", show=HIDDEN),
    check("", "preload", False, "Load the network at program start instead of at isready.", when=START),
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
    spin("MaxConcurrentSearchers", "max-concurrent-searchers", 1, 0, 128,
         "Accepted, without effect: threads gather in turns here."),
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
    core("NodesAsPlayouts", "nodes-as-playouts", "go nodes counts new visits only.", show=HIDDEN),
    core("RamLimitMb", "ramlimit-mb", "Stop near this much memory; 0 for no limit.", show=ALWAYS),
    spin("MoveOverheadMs", "move-overhead", 200, 0, 100000000, "Time kept back for each move, in milliseconds.",
         show=ALWAYS),
    string("TimeManager", "time-manager", "legacy", "legacy, simple or alphazero, with parameters in parentheses."),
    real("Slowmover", "slowmover", 1.0, 0, 100, "Short for TimeManager legacy(slowmover=...).", show=HIDDEN),
    Option("ClearTree", "", "button", None, "Forget the tree at the next go.", show=HIDDEN),
)

OUTPUT = _group(
    "Output",
    check("UCI_Chess960", "chess960", False, "Write castling as king takes rook.", show=ALWAYS, when=NOW),
    check("UCI_ShowWDL", "show-wdl", False, "Show win, draw and loss in permille.", show=ALWAYS, when=NOW),
    check("UCI_ShowEPS", "show-eps", False, "Show network evaluations a second.", show=ALWAYS, when=NOW),
    check("UCI_ShowMovesLeft", "show-movesleft", False, "Show the expected number of moves left.", show=ALWAYS,
          when=NOW),
)

NETWORK = _group(
    "Network and back end",
    real("PolicyTemperature", "policy-softmax-temp", 1.359, 0.1, 10,
         "Flattens (above 1) or sharpens the network's move probabilities.", in_nodes=True),
    combo("HistoryFill", "history-fill", "fen_only", ("no", "fen_only", "always"),
          "When to make up positions before the first known one.", in_nodes=True),
    string("WeightsFile", "weights", "<autodiscover>",
           "Network file (.pb or .pb.gz); <autodiscover> takes the newest in the usual folders.", short="w",
           show=ALWAYS, when=POSITION, in_nodes=True),
    combo("Backend", "backend", "auto", _backends, "What evaluates the network; auto takes the best that runs here.",
          short="b", when=POSITION, in_nodes=True),
    string("BackendOptions", "backend-opts", "",
           "Parameters of the back end, like threads=2 or policy_head=optimistic.", short="o", when=POSITION, in_nodes=True),
    spin("NNCacheSize", "nncache", 2000000, 0, 999999999, "Evaluations to remember; fewer where memory does not suffice."),
)

ENGINE = PROCESS + SEARCH + STOPPING + OUTPUT + NETWORK

# Options of Lc0 that configuration files may carry: accepted, and answered with one line that they do nothing here.
WITHOUT_EFFECT = {
    "SyzygyPath": "syzygy-paths", "SyzygyFastPlay": "syzygy-fast-play", "CacheHistoryLength": "cache-history-length",
    "MaxCollisionEvents": "max-collision-events", "TaskWorkers": "task-workers",
    "MinimumProcessingWork": "minimum-processing-work", "MinimumPickingWork": "minimum-picking-work",
    "MinimumRemainingPickingWork": "minimum-remaining-picking-work",
    "MinimumPerTaskProcessing": "minimum-per-task-processing", "SearchSpinBackoff": "search-spin-backoff",
    "GarbageCollectionDelay": "garbage-collection-delay", "SolidTreeThreshold": "solid-tree-threshold",
}


def node_values(settings: Settings) -> tuple:
    """Of the options whose values the nodes of a tree hold."""
    return tuple(settings[option.key] for option in settings.options if option.in_nodes)


def core_parameters(settings: Settings, contempt_sign: int) -> dict[str, Any]:
    """What the core's search takes, by name. contempt_sign: whom contempt favours, see contempt.sign."""
    rescale = contempt.rescale(settings)
    parameters = {option.name: settings[option.name] for option in settings.options if option.core}
    parameters |= {"WDLRescaleRatio": rescale.ratio, "WDLRescaleDiff": rescale.diff, "ContemptSign": contempt_sign}
    return parameters


def search_parameters(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options by UCI name to the core's parameters, and all values by name. Raises Error for an unknown option, a value
    out of range, and a ContemptMode that depends on the colour of the side to move."""
    settings = Settings(ENGINE)
    for name, value in given.items():
        option = settings.option(name)
        if not option:
            raise Error(f"there is no option '{name}'; docs/options.md lists them")
        settings.set(option, value_text(value))
    if settings["ContemptMode"] not in ("play", "disable"):
        raise Error("ContemptMode is play or disable here")
    return core_parameters(settings, int(settings["ContemptMode"] == "play")), settings.values


# UCI's common name for memory. An evaluation takes about 140 bytes in the cache.
def cache_entries(hash_mb: str) -> int:
    cache = next(option for option in NETWORK if option.name == "NNCacheSize")
    return min(Option("Hash", "", "spin", 0, "", 0, 2**31).parse(hash_mb) * 2**20 // 140, int(cache.high))


def markdown() -> str:
    """docs/options.md."""
    lines = ["# Options", "", "Written by `lc0rocm options --markdown`; the table is `lc0rocm/options.py`.", "",
             "Set them on the command line (`--name=value`, `--name` and `--no-name` for yes and no), in a file",
             "`lc0rocm.config` (one flag a line), or over UCI (`setoption name NAME value VALUE`). Options marked *",
             "are listed with `--show-hidden` only."]
    for title in dict.fromkeys(option.group for option in ENGINE):
        lines += ["", f"## {title}", "",
                  "| option | flag | default | values | takes effect | |", "|---|---|---|---|---|---|"]
        for option in (option for option in ENGINE if option.group == title):
            name = (f"`{option.name}`" if option.name else "") + ("*" if option.show == HIDDEN else "")
            flags = ", ".join(f"`{flag}`" for flag in ("--" + option.flag, "-" + option.short) if flag.strip("-"))
            values = "see `lc0rocm backends`" if option.name == "Backend" else option.domain()
            if option.kind == "button":
                values, default = "button", ""
            else:
                default = f"`{value_text(option.default)}`" if option.default != "" else ""
            lines.append(f"| {name} | {flags} | {default} | {values} | {option.when} | {option.help} |")
    return "\n".join(lines) + "\n"


def value_text(value: Any) -> str:
    """As it is written on the command line."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.10g}" if isinstance(value, float) and math.isfinite(value) else str(value)
