"""The SDK on every Python that it promises, with and without its extra, and its fuzzing for minutes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SUITE = ["-m", "pytest", "-q", "-c", "sdk/tests/pytest.ini"]


def python(version: str) -> str | None:
    """An interpreter of this version that this machine has, in its path or with pyenv, and that runs."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    found = [shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}.*/bin/python"))]
    for candidate in filter(None, found):
        if subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return str(candidate)
    return None


def run(*command: str | Path) -> None:
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-8000:]


@pytest.mark.parametrize("extras", ["openfeature", "openfeature,fast"])
@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13"])
def test_the_sdk_works_on_each_python_that_it_promises(version, extras, tmp_path):
    interpreter = python(version)
    if interpreter is None:
        pytest.skip(f"this machine has no Python {version}")
    own = tmp_path / "venv" / "bin" / "python"
    shutil.copytree(
        ROOT / "sdk", tmp_path / "sdk", ignore=shutil.ignore_patterns("tests", "build", "*.egg-info")
    )
    run(interpreter, "-m", "venv", tmp_path / "venv")
    pip = (own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, f"{tmp_path / 'sdk'}[{extras}]", "pytest", "hypothesis")
    assert subprocess.run([own, "-c", "import mmh3"], capture_output=True, check=False).returncode == (
        0 if "fast" in extras else 1
    )
    run(own, *SUITE, "sdk/tests")


def test_minutes_of_fuzzing_find_nothing():
    run(
        sys.executable,
        *SUITE,
        "--hypothesis-profile=prove",
        "sdk/tests/test_fuzz.py",
        "sdk/tests/test_properties.py",
    )
