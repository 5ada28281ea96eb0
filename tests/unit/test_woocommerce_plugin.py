"""The shop's plugin, by PHP itself. Where there is no PHP these are not here: `make lint` says so, and the tokens that the plugin
has to make are tested from the same file in tests/unit/web/test_portal_tokens.py.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "deploy" / "woocommerce" / "orderwire-rep-card.php"
PHP = shutil.which("php")


def run(*arguments: str) -> str:
    assert PHP
    found = subprocess.run([PHP, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


if PHP:

    def test_it_is_php() -> None:
        assert "No syntax errors" in run("-l", str(PLUGIN))

    def test_it_signs_and_shows_as_agreed() -> None:
        assert "as agreed" in run("tests/unit/woocommerce_plugin.php")


def test_it_is_one_file_without_a_secret() -> None:
    assert sorted(file.name for file in PLUGIN.parent.iterdir()) == [PLUGIN.name]
    text = PLUGIN.read_text(encoding="utf-8")
    assert "defined( 'ABSPATH' ) || exit;" in text
    assert "update_option" not in text, "the secret is in no database"
