"""What the documentation names exists: files, links, commands, flags, options; and the lists in it are complete."""
import functools
import importlib.util
import pathlib
import re
import subprocess
import sys

import pytest

import lc0rocm
from lc0rocm import cli, options

ROOT = pathlib.Path(__file__).resolve().parents[1]
FILES = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True,
                       text=True).stdout.split()
FILES = [name for name in FILES if (ROOT / name).exists()]
PAGES = [name for name in FILES if name.endswith(".md")]
FOLDERS = {str(parent) for name in FILES for parent in pathlib.PurePath(name).parents}
NAMES = {pathlib.PurePath(name).name for name in FILES} | {pathlib.PurePath(name).name for name in FOLDERS}
# A word is taken for a file of this repository if it begins with one of its folders or ends like its sources.
PATH = re.compile(r"^\.?/?(?:(?:src|lc0rocm|scripts|tests|docs|nets|\.ci|kernels)/[\w./*-]*|[\w./*-]+\.(?:py|pyi|cc|h|hip|md|build|toml))$")
MADE = {"report.md"}  # what programs write


def test_git_is_here():
    assert "README.md" in PAGES, "the checks of this file read what git tracks"


@functools.cache
def code(page: str) -> tuple[list[str], list[str]]:
    """Spans between backticks, and lines of code blocks."""
    blocks, spans, inside = [], [], False
    for line in (ROOT / page).read_text().splitlines():
        if line.lstrip().startswith("```"):
            inside = not inside
        elif inside or line.startswith("    ") and not line.lstrip().startswith(("-", "*")):
            blocks.append(line.strip().removesuffix("\\"))
        else:
            spans += re.findall(r"`([^`]+)`", line)
    return spans, blocks


def exists(word: str, page: str) -> bool:
    word = re.sub(r"\bNAME\b|\bNET\b|\*+|\bnN\b", "*", word.rstrip("/").removeprefix("./"))
    folders = (ROOT, (ROOT / page).parent, ROOT / "src", ROOT / "src/backends/rocm", ROOT / "tests/reference")
    if any(next(folder.glob(word), None) for folder in folders):
        return True
    return "/" not in word and word in NAMES


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.S)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        goal = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        if not goal.exists() or anchor and anchor not in anchors(goal):
            broken.append(target)
    assert not broken


def anchors(path: pathlib.Path) -> set[str]:
    """What GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [page for page in PAGES if not page.startswith("docs/spec/")])
def test_files_exist(page):
    spans, blocks = code(page)
    words = [span for span in spans if " " not in span] + [word for line in spans + blocks for word in line.split() if "/" in word]
    words = {word.strip("`'\",:;()") for word in words}
    missing = {word for word in words if PATH.match(word) and word not in MADE and not exists(word, page)}
    assert not missing


def commands(program: str):
    """(page, words after the program's name) of every command line in the documentation."""
    for page in PAGES:
        spans, blocks = code(page)
        for line in spans + blocks:
            line = re.sub(r"\s{2,}.*$|\s#.*$", "", line.strip().removeprefix("$ "))  # without what a line says beside the command
            if match := re.match(rf"(?:\w+=\S+ )*(?:\.venv/bin/|sudo )*{program}(?: (.*))?$", line):
                yield page, (match[1] or "").split()


def test_commands_of_lc0rocm():
    seen = set()
    for page, words in commands("lc0rocm"):
        words = [*cli.ALIASES.get(words[0], words[:1]), *words[1:]] if words else words
        name = words[0] if words and not words[0].startswith("-") else "uci"
        if name.isupper():
            continue  # a placeholder
        assert name in cli.COMMANDS, f"{page}: lc0rocm {' '.join(words)}"
        seen.add(name)
        flags = {option.flag for option in cli.COMMANDS[name].options} | {"help", "version", "show-hidden", "config"}
        for word in words:
            flag = word.partition("=")[0]
            if flag.startswith("--") and not flag.removeprefix("--").isupper():
                assert flag[2:] in flags or flag[2:].removeprefix("no-") in flags, f"{page}: lc0rocm {' '.join(words)}: {flag}"
    assert seen >= {"uci", "bench", "backendbench", "describe", "check", "backends", "tune", "options"}


def test_targets_of_make():
    targets = set(re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)[1].split())
    for page, words in commands("make"):
        for word in words:
            if "=" not in word and not word.startswith("-") and word.islower():
                assert word in targets, f"{page}: make {word}"


def test_flags_of_scripts():
    seen = 0
    for page in PAGES:
        for line in code(page)[0] + code(page)[1]:
            if (match := re.search(r"\b(scripts/[\w/]+(?:\.py)?)( .*)", line)) and (ROOT / match[1]).is_file():
                source = (ROOT / match[1]).read_text()
                before = re.split(r"\s{2,}|\s#|`", match[2].strip())[0]
                for flag in re.findall(r"(?<!\S)--[\w-]+", before):
                    assert flag in source or flag[2:].replace("-", "_") in source, f"{page}: {match[1]} {flag}"
                    seen += 1
    assert seen > 10


def run(*arguments):
    done = subprocess.run([sys.executable, "-m", "lc0rocm", *arguments], capture_output=True, text=True, timeout=60, cwd=ROOT / "tests")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_options_page_is_what_the_command_prints():
    assert (ROOT / "docs/options.md").read_text() == run("options", "--markdown"), "run: lc0rocm options --markdown > docs/options.md"


def test_help_and_options_page_agree():
    rows = [line.split("|") for line in (ROOT / "docs/options.md").read_text().splitlines() if re.match(r"\| `?[\w ]*`?\*? *\| `--", line)]
    on_page = {re.search(r"--([\w-]+)", row[2])[1]: row[3].strip().strip("`") for row in rows}
    text = run("uci", "--help", "--show-hidden")
    in_help = dict.fromkeys(re.findall(r"^ .*?--(?:\[no-\])?([\w-]+)", text, re.M), "")
    assert on_page.keys() == in_help.keys() == {option.flag for option in options.ENGINE if option.flag}
    flat = re.sub(r"\s+", " ", text)
    for flag, default in on_page.items():
        assert not default or f"default {default}" in flat, flag


def test_help_lists_the_commands():
    text = run("--help")
    assert all(re.search(rf"^  {name} ", text, re.M) for name in cli.COMMANDS)


def test_options_that_pages_name():
    """A word in the form of a UCI option that a page presents as one is one."""
    known = {option.name for option in options.ENGINE} | {option.name + "s" for option in options.ENGINE}
    for page in ("README.md", "docs/play.md", "docs/gpu.md"):
        for line in (ROOT / page).read_text().splitlines():
            for name in re.findall(r"option `(\w+)`", line):
                assert name in known, f"{page}: {name}"


def test_api_page_has_every_public_class():
    page = (ROOT / "docs/api.md").read_text()
    public = [name for name in lc0rocm.__all__ if name not in ("Error", "__version__")]
    assert [name for name in public if f"::: lc0rocm.api.{name}\n" not in page] == []


def script(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / f"scripts/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_targets_that_are_said_to_be_compiled():
    """All of the table, and no other."""
    text = re.search(r"\*Compiled\*.*?\. Scratch", (ROOT / "docs/amd_verification.md").read_text(), re.S)[0]
    named = re.findall(r"\b(gfx[\w-]+|9[0-9][0-9a]|1[0-9]{3})\b(?!-)", text)
    assert {name if name.startswith("gfx") else "gfx" + name for name in named} == script("kernel_report").TARGETS.keys()


def test_matrix_instructions_are_those_that_the_report_asks_for():
    report = script("kernel_report")
    columns = [("gfx1100", "gfx1103", "gfx1151", "gfx1201", "gfx11-generic", "gfx12-generic"),
               ("gfx908", "gfx90a", "gfx942", "gfx9-4-generic"), ("gfx950",)]
    page, seen = (ROOT / "docs/amd_verification.md").read_text(), 0
    for what, *cells in re.findall(r"^\| (attention, .*?|gemm, .*?) \| ([0-9]+) \| ([0-9]+) \| ([0-9]+) \| 0", page, re.M):
        sizes = [tuple(map(int, size)) for size in re.findall(r"(\d+) x (\d+)", what)]
        head = [int(number) for number in re.findall(r"\d+", what)]
        for cell, targets in zip(cells, columns):
            for target in (report.TARGETS[name] for name in targets):
                found = ([report.gemm_half(target, [tile[:2] for tile in report.GEMM_TILES].index(size)) for size in sizes] if sizes
                         else [report.attention_half(target, head[0], head[1] if len(head) > 1 else 128)])
                assert set(found) == {int(cell)}, what
        seen += 1
    assert seen == len(re.findall(r"^\| (?:attention|gemm), ", page, re.M)) > 6


def test_words_of_the_emulated_machine():
    known = set(re.findall(r'key == "(\w+)"', (ROOT / "src/rocm_standin/emulated/settings.cc").read_text()))
    kinds = re.search(r"enum class Fault \{(.*?)\}", (ROOT / "src/rocm_standin/emulated/settings.h").read_text())[1]
    seen = 0
    for page in PAGES:
        for words in re.findall(r'"((?:[a-z]+=[\w:+@]+ ?)+)"', "\n".join(code(page)[0] + code(page)[1])):
            for key, value in (word.split("=") for word in words.split()):
                assert key in known and (key != "fail" or f"k{value.split(':')[0].capitalize()}," in kinds), f"{page}: {words}"
                seen += 1
    assert seen > 5


def test_back_end_options_that_the_page_of_gpus_lists():
    code = "".join(path.read_text() for pattern in ("src/backends/rocm/**/*.cc", "lc0rocm/**/*.py") for path in ROOT.glob(pattern))
    table = (ROOT / "docs/gpu.md").read_text().partition("## Parameters")[2].partition("\n## ")[0]
    keys = re.findall(r"`(\w+)`", "".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `")))
    assert len(keys) > 10 and not [key for key in keys if f'"{key}"' not in code]


def test_files_in_the_cache():
    code = "".join(path.read_text() for path in (ROOT / "lc0rocm").rglob("*.py"))
    pages = "".join((ROOT / page).read_text() for page in PAGES if page.startswith(("docs/", "README")))
    named = re.findall(r"`(rocm[\w-]*\.(?:json|txt))`", pages)
    assert len(set(named)) == 3 and not [name for name in named if f'"{name}"' not in code]
