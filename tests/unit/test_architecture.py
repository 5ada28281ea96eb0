"""The rules of the house that import-linter cannot see: modules beside packages, calls, and imports made while running."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("core", "mapping", "connectors", "ledger", "pipelines", "web", "console", "sandbox")
PRODUCT = tuple(name for name in PACKAGES if name != "sandbox")
ENTRY_POINTS = ("cli", "worker")

CLOCKS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.monotonic"}
CALLS_OUT = {f"httpx.{name}" for name in ("Client", "AsyncClient", "get", "post", "put", "patch", "delete", "request")}
CALLS_OUT |= {"httpx.stream", "urllib.request.urlopen", "request.urlopen"}

IMPORTING_CALLS = {"__import__", "import_module", "importlib.import_module"}

# A rule is given a file's path and syntax tree and yields the lines that break it, each with the reason.
Rule = Callable[[str, ast.Module], Iterator[tuple[int, str]]]


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every imported module by its full name, also those imported by a call with a literal name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and name_of(node.func) in IMPORTING_CALLS:
            for argument in node.args[:1]:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield node.lineno, argument.value


def name_of(node: ast.expr) -> str:
    """`a.b.c` for nested attributes of a name; the last two parts of anything longer, and "" for the rest."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}".lstrip(".")
    return ""


def calls(tree: ast.AST, forbidden: set[str]) -> Iterator[tuple[int, str]]:
    """Calls of one of the names, however much stands before it (`datetime.datetime.now` is `datetime.now`)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = name_of(node.func)
            if any(called == name or called.endswith(f".{name}") for name in forbidden):
                yield node.lineno, called


def within(module: str, *packages: str) -> bool:
    return module.partition(".")[0] in packages


def entry_points_are_not_imported(path: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    # cli.py alone puts the pieces together: `up` runs web and worker in its own process.
    if path != "cli.py" and not path.startswith("tests/"):
        for line, module in imports(tree):
            if within(module, *ENTRY_POINTS):
                yield line, f"imports {module}, an entry point"
            elif within(module, "web") and not path.startswith("web/"):
                yield line, f"imports {module}; only cli.py may"


def product_knows_no_tests(path: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    if within(path.partition("/")[0], *PACKAGES) or path in {"cli.py", "worker.py"}:
        for line, module in imports(tree):
            if within(module, "tests", "pytest", "_pytest", "hypothesis", "respx", "unittest"):
                yield line, f"imports {module}: the product does not ask whether it is being tested"
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and node.value in {"PYTEST_CURRENT_TEST", "pytest"}:
                yield node.lineno, f"mentions {node.value!r}: the product does not ask whether it is being tested"


def mapping_has_no_clock_or_dice(path: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    if path.startswith("mapping/"):
        for line, called in calls(tree, CLOCKS):
            yield line, f"calls {called}: in a mapping the time is an argument"
        for line, module in imports(tree):
            if within(module, "random", "secrets", "socket", "urllib", "subprocess", "os"):
                yield line, f"imports {module}: a mapping is pure"


def one_transport(path: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    if within(path.partition("/")[0], *PRODUCT) and path != "connectors/http.py":
        for line, called in calls(tree, CALLS_OUT):
            yield line, f"calls {called}: only connectors/http.py calls out"
        for line, module in imports(tree):
            if within(module, "requests", "aiohttp", "urllib3") or module == "http.client":
                yield line, f"imports {module}: only connectors/http.py calls out"


def nobody_sleeps(path: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    if within(path.partition("/")[0], *PRODUCT):
        for line, called in calls(tree, {"sleep"}):
            if called == "asyncio.sleep":  # gives the thread away instead of holding it
                continue
            yield line, f"calls {called}: long waits belong to the ledger, short ones to the transport and to events"


def wiring_alone_knows_connectors(path: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    if path.startswith("pipelines/") and path != "pipelines/wiring.py":
        for line, module in imports(tree):
            shared = module.startswith(("connectors.roles", "connectors.http")) or module == "connectors"
            if within(module, "connectors") and not shared:
                yield line, f"imports {module}: pipelines know roles, only pipelines/wiring.py knows connectors"


RULES: tuple[Rule, ...] = (
    entry_points_are_not_imported,
    product_knows_no_tests,
    mapping_has_no_clock_or_dice,
    one_transport,
    nobody_sleeps,
    wiring_alone_knows_connectors,
)


def our_files() -> list[Path]:
    found = [ROOT / f"{name}.py" for name in ENTRY_POINTS if (ROOT / f"{name}.py").exists()]
    for folder in (*PACKAGES, "benchmarks"):
        found += sorted((ROOT / folder).rglob("*.py"))
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_its_rules(rule: Rule) -> None:
    files = our_files()
    assert len(files) > len(PACKAGES), "the walk finds the source"
    broken = []
    for file in files:
        path = file.relative_to(ROOT).as_posix()
        broken += [
            f"{path}:{line} {what}"
            for line, what in rule(path, ast.parse(file.read_text(encoding="utf-8"), filename=path))
        ]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (entry_points_are_not_imported, "pipelines/run.py", "from worker import drain"),
        (entry_points_are_not_imported, "worker.py", "import cli"),
        (
            entry_points_are_not_imported,
            "ledger/jobs.py",
            "def f():\n    import importlib\n    importlib.import_module('web.app')",
        ),
        (product_knows_no_tests, "core/settings.py", "import os\nif 'PYTEST_CURRENT_TEST' in os.environ: pass"),
        (product_knows_no_tests, "cli.py", "from tests.servers import free_port"),
        (mapping_has_no_clock_or_dice, "mapping/vtiger.py", "import datetime\ndatetime.datetime.now(datetime.UTC)"),
        (mapping_has_no_clock_or_dice, "mapping/vtiger.py", "import random"),
        (one_transport, "connectors/vtiger/client.py", "import httpx\nhttpx.Client()"),
        (one_transport, "web/hooks.py", "from requests import get"),
        (nobody_sleeps, "pipelines/orders.py", "import time\ntime.sleep(1)"),
        (nobody_sleeps, "connectors/http.py", "from time import sleep\nsleep(1)"),
        (wiring_alone_knows_connectors, "pipelines/orders.py", "from connectors.vtiger import crm"),
        (wiring_alone_knows_connectors, "pipelines/orders.py", "from connectors import vtiger"),
    ],
)
def test_each_rule_notices(rule: Rule, path: str, source: str) -> None:
    assert list(rule(path, ast.parse(source)))


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (entry_points_are_not_imported, "cli.py", "import worker\nfrom web.app import create_app"),
        (
            mapping_has_no_clock_or_dice,
            "mapping/vtiger.py",
            "from datetime import datetime\ndatetime.fromisoformat('x')",
        ),
        (one_transport, "connectors/http.py", "import httpx\nhttpx.Client()"),
        (nobody_sleeps, "sandbox/faults.py", "import time\ntime.sleep(1)"),
        (wiring_alone_knows_connectors, "pipelines/orders.py", "from connectors.roles import Crm"),
        (wiring_alone_knows_connectors, "pipelines/wiring.py", "from connectors.vtiger import crm"),
    ],
)
def test_each_rule_lets_the_right_thing_pass(rule: Rule, path: str, source: str) -> None:
    assert not list(rule(path, ast.parse(source)))
