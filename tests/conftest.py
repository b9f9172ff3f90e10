"""Where the reference data lies: tests/reference (networks, Lc0's outputs for them, vectors of the specification)."""
import importlib.util
import pathlib

import pytest

REFERENCE = pathlib.Path(__file__).parent / "reference"

if importlib.util.find_spec("hypothesis"):  # which is not there where a wheel alone is tested
    import hypothesis

    # No test is wrong because the machine is slow.
    hypothesis.settings.register_profile("any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
    hypothesis.settings.load_profile("any machine")


@pytest.fixture(scope="session")
def reference() -> pathlib.Path:
    return REFERENCE


@pytest.fixture(scope="session")
def emulated_gpu() -> pathlib.Path:
    """The library that is a GPU; what asks for it is skipped where the package was built without."""
    library = pathlib.Path(importlib.util.find_spec("lc0rocm").origin).parent / "librocm_emulated.so"
    if not library.exists():
        pytest.skip("built without -Drocm=emulated")
    return library


@pytest.fixture(scope="session")
def make_net():
    """The module scripts/make_net.py."""
    spec = importlib.util.spec_from_file_location("make_net", pathlib.Path(__file__).resolve().parents[1] / "scripts/make_net.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny_net(make_net, tmp_path_factory) -> pathlib.Path:
    """A network that the emulated GPU evaluates in no time."""
    path = tmp_path_factory.mktemp("net") / "net.pb"
    make_net.write_net(make_net.make_net(embedding=32, encoders=1, heads=2, dff=48, value_size=8, head_hidden=8), path)
    return path


def pytest_generate_tests(metafunc):
    """A test that asks for `reference_net` runs with the name of each network that Lc0's outputs are known of."""
    if "reference_net" in metafunc.fixturenames:
        metafunc.parametrize("reference_net", sorted(path.stem for path in (REFERENCE / "golden").glob("*.npz")))


def pytest_make_parametrize_id(val, argname):
    """Bytes go by their argument's name and a number: what gzip made holds the second it was made in, and workers must agree on the names of tests."""
    return argname if isinstance(val, bytes) else None


# What `make quick` leaves out: whole games, builds and training, fault by fault and net by net. By the start of a test's name.
SLOW = ("tests/analysis/test_lines.py", "tests/annotation/test_annotate.py", "tests/annotation/test_beside.py", "tests/annotation/test_clerks.py",
        "tests/annotation/test_pages.py",
        "tests/backends/test_rocm.py::test_batches",
        "tests/backends/test_rocm.py::test_golden", "tests/backends/test_rocm.py::test_graphs_repeat_plain_runs",
        "tests/backends/test_rocm.py::test_no_allocation_after_warm_up", "tests/backends/test_rocm.py::test_odd_sizes",
        "tests/backends/test_rocm.py::test_refused_launch", "tests/backends/test_rocm.py::test_spec_nets",
        "tests/backends/test_rocm_conv.py", "tests/backends/test_rocm_faults.py", "tests/backends/test_rocm_gemm.py",
        "tests/backends/test_rocm_launches.py", "tests/backends/test_rocm_memory.py", "tests/backends/test_rocm_tower.py",
        "tests/cluster/test_annotate.py", "tests/cluster/test_selfplay.py", "tests/cluster/test_workers.py", "tests/install",
        "tests/match/test_elo.py::test_wrong_verdicts", "tests/match/test_engines.py", "tests/match/test_record.py::test_an_interrupt",
        "tests/match/test_record.py::test_kills_at_any_moment",
        "tests/nn/test_fetch.py::test_over_uci", "tests/nn/test_fuzz.py", "tests/search/test_golden.py",
        "tests/search/test_graph.py::test_proven_results_are_those_of_the_tables",
        "tests/search/test_graph.py::test_threads_and_stops_at_any_moment",
        "tests/search/test_limits.py::test_a_move_that_is_not_settled_gets_more_time", "tests/selfplay", "tests/serving", "tests/standin",
        "tests/test_api_state.py",
        "tests/test_build.py", "tests/test_check.py::test_an_interrupted_check_reports_what_it_has",
        "tests/test_python_process.py::test_a_script_ends_whatever_its_daemon_threads_do[rocm",
        "tests/test_ranges.py::test_any_ends_together", "tests/test_rocm_loading.py", "tests/test_several_gpus.py", "tests/train",
        "tests/uci/test_every_go.py::test_the_clock_starts_when_go_arrives", "tests/uci/test_every_go.py::test_with_next_to_no_time",
        "tests/uci/test_gpu.py", "tests/uci/test_gpu_life.py", "tests/uci/test_hostile.py", "tests/uci/test_python_chess.py",
        "tests/uci/test_stateful.py::test_an_emulated_gpu_that_fails")


# The files that take longest, first: one that begins last would keep one process busy after the others have ended.
FIRST = ("tests/backends/test_rocm_faults.py", "tests/backends/test_rocm_pass.py", "tests/cluster/test_workers.py", "tests/test_trust.py",
         "tests/backends/test_rocm_tower.py", "tests/backends/test_rocm.py", "tests/search/test_golden.py", "tests/uci/test_transcript.py",
         "tests/uci/test_stateful.py", "tests/uci/test_gpu.py", "tests/backends/test_rocm_launches.py", "tests/uci/test_gpu_life.py",
         "tests/cluster/test_selfplay.py", "tests/backends/test_rocm_memory.py", "tests/test_api_state.py", "tests/cluster/test_annotate.py",
         "tests/test_rocm_loading.py", "tests/uci/test_strength.py", "tests/selfplay/test_records.py", "tests/annotation/test_annotate.py")


def pytest_configure(config):
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False  # pytest-xdist's own order is that of the number of tests, which says nothing of their time


def pytest_collection_modifyitems(items):
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker("slow")
    rank = {file: number for number, file in enumerate(FIRST)}
    items.sort(key=lambda item: rank.get(item.nodeid.partition("::")[0], len(FIRST)))
