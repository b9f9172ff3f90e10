"""The code as text: what a linter finds, folders that know only what is below them, files that the build knows, and lazy imports."""
import ast
import graphlib
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
CPP = sorted(path for kind in ("h", "cc", "hip") for folder in ("src", "tests") for path in (ROOT / folder).rglob(f"*.{kind}"))
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
           for path in (ROOT / "lc0rocm").rglob("*.py")}
# What each folder of src/ may include beside itself: docs/layout.md.
BELOW = {
    "chess": set(),
    "nn": {"chess"},
    "syzygy": {"chess"},
    "search": {"chess", "nn", "syzygy"},
    "backends": {"chess", "nn"},
    "bindings": {"chess", "nn", "syzygy", "search", "backends"},
    "rocm_standin": set(),
}
KNOW_ARCHITECTURES = {"wave.h", "mma.h", "mma8.h", "fp8.h"}


def test_ruff():
    done = subprocess.run([sys.executable, "-m", "ruff", "check", "--no-cache", "."], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_lines_of_cpp():
    faults = [f"{path.relative_to(ROOT)}:{number}: {what}" for path in CPP
              for number, line in enumerate(path.read_text().split("\n"), 1)
              for what, wrong in (("longer than 160", len(line) > 160), ("tab", "\t" in line), ("space at the end", line.endswith(" ")))
              if wrong]
    assert not faults


def includes(path):
    return re.findall(r'^\s*#include "([^"]+)"', path.read_text(), re.M)


def test_folders_include_what_is_below_them():
    assert {path.relative_to(ROOT / "src").parts[0] for path in CPP if path.is_relative_to(ROOT / "src") and path.parent != ROOT / "src"} \
        == BELOW.keys()
    faults = []
    for path in (ROOT / "src").rglob("*"):
        if path.suffix in (".h", ".cc", ".hip"):
            folder = path.relative_to(ROOT / "src").parts[0]
            for name in includes(path):
                goal = name.partition("/")[0]
                if goal in BELOW and goal != folder and goal not in BELOW.get(folder, ()):
                    faults.append(f"{path.relative_to(ROOT)} includes {name}")
    assert not faults


def test_folders_do_not_include_each_other():
    """Inside the parts, too: rocm is over rocm/linear, which is over rocm/device."""
    src = ROOT / "src"
    below = {folder: {src / name.rpartition("/")[0] for path in folder.iterdir() if path.suffix in (".h", ".cc", ".hip")
                      for name in includes(path)} - {folder} for folder in src.rglob("*") if folder.is_dir()}
    try:
        graphlib.TopologicalSorter(below).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" includes ".join(str(folder.relative_to(src)) for folder in reversed(error.args[1])))


def test_back_ends_do_not_know_each_other():
    """But for combine, which makes one of several: check is one of its kind."""
    faults = []
    for path in (ROOT / "src/backends").rglob("*.*"):
        own = path.relative_to(ROOT / "src/backends").parts[0]
        if path.suffix in (".h", ".cc", ".hip"):
            faults += [f"{path.relative_to(ROOT)} includes {name}" for name in includes(path)
                       if name.startswith("backends/") and name.count("/") > 1 and name.split("/")[1] not in (own, "combine")]
    assert not faults


def test_architectures_have_their_places():
    """No condition on an architecture outside the two headers, and no vendor's macro at all."""
    faults = [f"{path.relative_to(ROOT)}: {line.strip()}" for path in (ROOT / "src/backends").rglob("*.*")
              if path.suffix in (".h", ".cc", ".hip") and path.name not in KNOW_ARCHITECTURES
              for line in path.read_text().splitlines() if re.match(r"\s*#\s*(el)?if.*(__gfx|__GFX|__CUDA|__HIP_PLATFORM|__NVCC__)", line)]
    assert not faults


def test_names_of_gpus_stand_in_one_table():
    """As values of code: comments, and text for people, may give one as an example."""
    places = [*CPP, *(ROOT / "src").rglob("meson.build"), *MODULES.values(), ROOT / "meson.build", ROOT / "scripts/kernel_report.py"]
    faults = [f"{path.relative_to(ROOT)}: {name}" for path in places
              if path.is_relative_to(ROOT / "src/backends") and path.name not in KNOW_ARCHITECTURES or path.suffix not in (".h", ".cc", ".hip")
              for line in path.read_text().splitlines() for name in re.findall(r"""["']gfx[0-9][\w-]*["']|__gfx\w+""", line.partition("// ")[0])]
    assert not faults
    assert (ROOT / "src/backends/rocm/device/targets.def").read_text().count("\nTARGET(gfx") >= 20


def test_the_build_knows_every_file():
    """A file that no meson.build names is neither compiled nor installed."""
    faults = []
    for path in [*(ROOT / "src").rglob("*.cc"), *(ROOT / "src").rglob("*.hip"), *MODULES.values()]:
        builds = [folder / "meson.build" for folder in path.parents if (folder / "meson.build").exists()]
        text = "".join(build.read_text() for build in builds)
        if not re.search(rf"['/]{re.escape(path.name)}'|'{re.escape(path.stem)}'", text):
            faults.append(str(path.relative_to(ROOT)))
    assert not faults


def imported(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    names = [f"{node.module}.{alias.name}" for alias in node.names]
    return [name if name in MODULES else str(node.module) for name in names]


def imports_of(tree: ast.AST, inside_functions: bool) -> list[tuple[int, str]]:
    statements = [node for function in ast.walk(tree) if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
                  for node in ast.walk(function)] if inside_functions else tree.body
    return sorted({(node.lineno, name) for node in statements if isinstance(node, (ast.Import, ast.ImportFrom)) for name in imported(node)})


def all_imports() -> list[tuple[str, str]]:
    """(module, what it imports of the package), in functions and for types too; the package itself, which is a door, stands for nothing."""
    return [(name, goal) for name, path in MODULES.items() if name != "lc0rocm" for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, (ast.Import, ast.ImportFrom)) for goal in imported(node) if goal in MODULES and goal != "lc0rocm"]


def test_modules_do_not_import_in_a_circle():
    below: dict[str, set[str]] = {}
    for name, goal in all_imports():
        below.setdefault(name, set()).add(goal)
    try:
        graphlib.TopologicalSorter(below).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_modules_import_what_is_on_lower_floors():
    """As docs/layout.md lists them: a folder is on one floor."""
    lines = re.findall(r"^([0-9]+)\. (`.*`)$", (ROOT / "docs/layout.md").read_text(), re.M)
    floors = {name.rstrip("/"): int(floor) for floor, names in lines for name in re.findall(r"`([^`]+)`", names)}
    parts = {name: name.split(".")[1] for name in MODULES if name != "lc0rocm"}
    assert floors.keys() == set(parts.values())
    assert not [f"{name} (floor {floors[parts[name]]}) imports {goal} (floor {floors[parts[goal]]})" for name, goal in all_imports()
                if parts[name] != parts[goal] and floors[parts[name]] <= floors[parts[goal]]]


# Modules that import inside functions, because `uci` has to be answered before numpy, chess and protobuf are there.
DOORS = {
    "lc0rocm.__main__": "the core, after what could keep it from loading has been looked at",
    "lc0rocm.cli": "a command's module when the command is given",
    "lc0rocm.flags": "what wraps help and finds near names",
    "lc0rocm.config": "gzip when a network is looked for",
    "lc0rocm.plot": "matplotlib when a picture is drawn",
    "lc0rocm.annotation.parquet": "pyarrow when such a file is written",
    "lc0rocm.strength": "the table of nets when a rating is played at",
    "lc0rocm.report": "rich when something is counted on a terminal",
    "lc0rocm.onnx_backend": "the package onnx where a model has to be made",
    "lc0rocm.loading": "network files, and the GPU where one is named",
    "lc0rocm.engine.backend": "all of loading, at isready",
    "lc0rocm.netfile.net": "protobuf when a file is read",
    "lc0rocm.netfile.fetch": "pooch when a net is fetched",
    "lc0rocm.gpu": "what only a first use of a GPU needs",
}


def test_imports_in_functions_stand_at_doors():
    inside = {name for name, path in MODULES.items() if imports_of(ast.parse(path.read_text()), True)}
    assert not {name for name in inside if name not in DOORS and name.rpartition(".")[0] not in DOORS.keys() - {"lc0rocm"}}


def test_uci_loads_no_folder_but_the_engine():
    """What the program imports before it answers: see tests/uci/test_startup.py for the libraries."""
    seen, todo = set(), ["lc0rocm.cli", "lc0rocm.engine.uci", "lc0rocm.engine.play"]
    while todo:
        if (name := todo.pop()) not in seen and name in MODULES:
            seen.add(name)
            todo += [goal for _, goal in imports_of(ast.parse(MODULES[name].read_text()), False)]
    assert not {name for name in seen if name.startswith(("lc0rocm.gpu.", "lc0rocm.netfile", "lc0rocm.api", "lc0rocm.loading"))}


def test_slow_tests_are_where_conftest_says():
    text = (ROOT / "tests/conftest.py").read_text()
    starts = ast.literal_eval(re.search(r"^SLOW = (\(.*?\))$", text, re.M | re.S)[1])
    for start in starts:
        path, _, function = start.partition("::")
        assert (ROOT / path).exists() and f"def {function.partition('[')[0]}" in ((ROOT / path).read_text() if function else "def "), start


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "lc0rocm/py.typed"])
def test_a_project_has(name):
    assert (ROOT / name).is_file()
