"""Audit requirements.lock with pip-audit and say in one line what was found, and what could not be looked up.

A known vulnerability ends with 1. An advisory database that cannot be reached, or does not know the packages, does
not fail a build, but is never reported as "nothing found".
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> int:
    """Run the audit; returns the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip_audit", "--requirement", "requirements.lock", "--require-hashes"]
        command += ["--disable-pip", "--progress-spinner", "off", "--format", "json", "--output", str(report)]
        command += ["--cache-dir", folder]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        dependencies = json.loads(report.read_text())["dependencies"] if report.exists() else []
    audited = [dependency for dependency in dependencies if "skip_reason" not in dependency]
    if not audited:
        said = done.stderr.strip().splitlines() or ["no answer"]
        why = "the advisory database that was asked knows none of the packages" if dependencies else said[-1]
        print(f"audit: NOT DONE, {why}")
        print("What to do: run `make audit` on a machine that reaches the internet.")
        return 0
    found = [(dependency, problem) for dependency in audited for problem in dependency["vulns"]]
    for dependency, problem in found:
        fixed = ", ".join(problem["fix_versions"]) or "no version yet"
        print(f"{dependency['name']} {dependency['version']}: {problem['id']}, mended in {fixed}")
    print(f"audit: {len(audited)} of {len(dependencies)} packages looked up, {len(found)} known vulnerabilities")
    if found:
        print("What to do: raise the versions in requirements.in, run `make lock`, then `make check`.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
