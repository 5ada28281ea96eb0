"""What must never be in a file of this project: package registries' hosts, paths of one machine, lock files without hashes."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Each pattern is written so that it does not match its own text.
FORBIDDEN = {
    "a package registry's host": r"py[p]i\.org|python[h]osted\.org|registry\.npm[j]s|deb\.debian[.]org",
    "a path of one machine": r"(?<![\w.-])/(?:wor[k]|far[m]|roo[t])/",
    "a path outside the project": r"\.\./share[d]",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KE[Y]-----",
}

# Folders that no commit contains, for a copy of the tree without its git data.
GENERATED = {".git", ".venv", ".hypothesis", "__pycache__", "var", "build", "dist", "test-artefacts"}


def project_files() -> list[Path]:
    """What is tracked, or would be by the next `git add`; without git, whatever is not generated."""
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=False,
        capture_output=True,
    )
    if listing.returncode == 0:
        found = [ROOT / name.decode() for name in listing.stdout.split(b"\0") if name]
    else:
        found = list(_walk(ROOT))
    return [file for file in found if file.is_file()]


def _walk(folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        if entry.is_dir():
            if entry.name not in GENERATED and not entry.name.endswith(("_cache", ".egg-info")):
                yield from _walk(entry)
        else:
            yield entry


def findings(text: str) -> list[str]:
    """Each forbidden thing in the text, with its line."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        found += [
            f"{number}: {what}: {line.strip()[:120]}" for what, rule in FORBIDDEN.items() if re.search(rule, line)
        ]
    return found


def test_no_file_holds_what_must_not_be_published() -> None:
    files = project_files()
    assert Path(__file__) in files, "the listing finds the project"
    bad = [
        f"{file.relative_to(ROOT)}:{finding}"
        for file in files
        for finding in findings(file.read_text(encoding="utf-8", errors="replace"))
    ]
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize(
    "line",
    [
        "index-url = https://py" + "pi.org/simple",
        "https://files.python" + "hosted.org/packages/x.whl",
        "https://registry.npm" + "js.org/",
        "https://deb.debian" + ".org/debian",
        "open('/wor" + "k/main/x')",
        "HOME=/roo" + "t/.cache",
        "read ../share" + "d/design.md",
        "-----BEGIN RSA PRIVATE KE" + "Y-----",
    ],
)
def test_the_patterns_notice(line: str) -> None:
    assert findings(line)


@pytest.mark.parametrize(
    "line", ["an owner in the group's network|", "GET |api|work|orders", "home|root|x", "shared|x"]
)
def test_the_patterns_let_ordinary_text_pass(line: str) -> None:
    """`|` stands for the slash: this file must not look like what it forbids."""
    assert not findings(line.replace("|", "/"))


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_pinned_package_has_hashes(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    packages = re.split(r"\n(?=\S)", text.strip())
    assert len(packages) > 20
    assert not [package for package in packages if "==" not in package or "--hash=sha256:" not in package]


def pins(name: str) -> set[str]:
    return set(re.findall(r"^[\w.-]+==[^\s;]+", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE))


def test_the_tests_run_on_the_versions_that_are_shipped() -> None:
    assert pins("requirements.lock") <= pins("requirements-dev.lock")


@pytest.mark.parametrize("kind", ["requirements", "requirements-dev"])
def test_everything_asked_for_is_pinned(kind: str) -> None:
    asked = re.findall(r"^([A-Za-z][\w.-]*)", (ROOT / f"{kind}.in").read_text(encoding="utf-8"), flags=re.MULTILINE)
    pinned = {pin.partition("==")[0].lower() for pin in pins(f"{kind}.lock")}
    assert asked
    assert not [name for name in asked if name.lower().replace("_", "-") not in pinned]
