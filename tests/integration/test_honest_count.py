"""The end of a test run says what did not run, fails for it under CI, and shows the seed of a failed random test."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ONE_OF_EACH = """
import pytest

def test_good():
    pass

@pytest.mark.parametrize("number", [1, 2])
def test_without_browser(number):
    pytest.skip("no browser here")
"""


def run(folder: Path, source: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A test run of its own over one file, with our conftest as a plugin."""
    file = folder / "test_sample.py"
    file.write_text(source)
    inherited = {key: value for key, value in os.environ.items() if key not in {"CI", "ORDERWIRE_SEED"}}
    inherited = {key: value for key, value in inherited.items() if not key.startswith(("PYTEST_", "ORDERWIRE_TEST_"))}
    inherited["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # loading all of them takes longer than the run
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "xdist.plugin",
        "-p",
        "tests.conftest",
    ]
    return subprocess.run(
        [*command, "--rootdir", str(folder), *options, str(file)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        env={**inherited, "ORDERWIRE_TEST_TOTALS": str(folder / "totals"), **environment},
    )


BROKEN_TOO = """
@pytest.fixture
def broken():
    1 / 0

def test_with_a_broken_fixture(broken):
    pass

def test_dice(seed):
    assert seed == 0
"""


def test_skips_failures_and_seeds_are_shown_and_counted(tmp_path: Path) -> None:
    done = run(tmp_path, ONE_OF_EACH + BROKEN_TOO, ORDERWIRE_SEED="1234")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 x no browser here" in done.stdout
    assert "a skipped test proves nothing" in done.stdout
    assert "run again with ORDERWIRE_SEED=1234" in done.stdout
    assert (tmp_path / "totals").read_text() == "1 2 2 0\n"


@pytest.mark.parametrize("options", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_under_ci_a_skip_fails_the_run(tmp_path: Path, options: tuple[str, ...]) -> None:
    done = run(tmp_path, ONE_OF_EACH, *options, CI="true")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "under CI a skipped test is a failure" in done.stdout
    assert (tmp_path / "totals").read_text() == "1 0 2 0\n"


@pytest.mark.parametrize(("source", "environment"), [(ONE_OF_EACH, {}), ("def test_good(): pass", {"CI": "true"})])
def test_otherwise_the_run_passes(tmp_path: Path, source: str, environment: dict[str, str]) -> None:
    assert run(tmp_path, source, **environment).returncode == 0


# -- asked once more, alone ----------------------------------------------------------------------------------------

MANY = """
import os
import pytest

@pytest.mark.parametrize("number", range(%d))
def test_beside_others(number):
    assert os.environ.get("ORDERWIRE_TEST_ALONE")

def test_never():
    assert not os.environ.get("NEVER")
"""


@pytest.mark.parametrize(("failing", "named"), [(5, 5), (6, 0)])
def test_the_few_that_failed_are_named_to_be_asked_again(tmp_path: Path, failing: int, named: int) -> None:
    names = tmp_path / "names"
    done = run(tmp_path, MANY % failing, ORDERWIRE_TEST_FAILED=str(names))
    assert done.returncode == 1, done.stdout + done.stderr
    assert (len(names.read_text().splitlines()) if names.exists() else 0) == named


def test_nothing_is_asked_again_where_something_did_not_run(tmp_path: Path) -> None:
    names = tmp_path / "names"
    run(tmp_path, MANY % 1 + ONE_OF_EACH, ORDERWIRE_TEST_FAILED=str(names), CI="true")
    assert not names.exists()


@pytest.mark.parametrize(("environment", "ends", "counts"), [({}, 0, "2 -2 0 2"), ({"NEVER": "1"}, 1, "1 -1 0 1")])
def test_what_passes_alone_is_named_and_counted(
    tmp_path: Path, environment: dict[str, str], ends: int, counts: str
) -> None:
    done = run(tmp_path, MANY % 1, ORDERWIRE_TEST_ALONE="1", **environment)
    assert done.returncode == ends, done.stdout + done.stderr
    assert "UNSTEADY test_sample.py::test_beside_others[0]" in done.stdout
    assert ("UNSTEADY test_sample.py::test_never" in done.stdout) is (ends == 0)
    assert (tmp_path / "totals").read_text() == f"{counts}\n"
