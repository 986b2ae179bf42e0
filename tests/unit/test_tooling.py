"""The set-up of a checkout: what the lock file, the Makefile and the bootstrap promise."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import bootstrap

REPOSITORY = Path(__file__).resolve().parents[2]
LOCK = (REPOSITORY / "requirements.lock").read_text()
MAKEFILE = (REPOSITORY / "Makefile").read_text()


def requirements() -> list[str]:
    return re.findall(r"^\S(?:.*\\\n)*.*", LOCK, flags=re.MULTILINE)


def test_every_locked_package_is_pinned_and_hashed() -> None:
    for requirement in requirements():
        assert re.match(r"[a-z0-9-]+==\S+ ", requirement), requirement
        assert "--hash=sha256:" in requirement


def test_the_lock_names_no_host() -> None:
    assert not re.search(r"://|^\s*--(?!hash)", LOCK, flags=re.MULTILINE)


def test_every_declared_dependency_is_locked() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    declared = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    locked = {requirement.partition("==")[0] for requirement in requirements()}

    assert {re.split(r"[^a-z0-9-]", name)[0] for name in declared} <= locked


def test_make_explains_every_target() -> None:
    told = subprocess.run(["make", "help"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout

    for target in re.findall(r"^\.PHONY: ([a-z-]+)$", MAKEFILE, flags=re.MULTILINE):
        if target != "help":
            assert re.search(rf"^  make {target} +\S", told, flags=re.MULTILINE), target


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a space in its path that was set up: bootstrap works on it instead of this one."""
    root = tmp_path / "my checkout"
    python = root / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    (root / "requirements.lock").write_text(LOCK)
    monkeypatch.setattr(bootstrap, "ROOT", root)
    monkeypatch.setattr(bootstrap, "LOCK", root / "requirements.lock")
    monkeypatch.setattr(bootstrap, "VENV", root / ".venv")
    monkeypatch.setattr(bootstrap, "PYTHON", python)
    monkeypatch.setattr(bootstrap, "STAMP", root / ".venv" / "setup-stamp")
    bootstrap.STAMP.write_text(bootstrap.stamp())
    return root


def test_a_second_setup_has_nothing_to_do(checkout: Path) -> None:
    assert bootstrap.is_current(), checkout


def test_a_new_lock_file_asks_for_a_new_environment(checkout: Path) -> None:
    (checkout / "requirements.lock").write_text(LOCK + "# changed\n")

    assert not bootstrap.is_current()


def test_an_interrupted_setup_is_done_again(checkout: Path) -> None:
    (checkout / ".venv" / "setup-stamp").unlink()

    assert not bootstrap.is_current()


def test_a_python_that_went_away_asks_for_a_new_environment(checkout: Path) -> None:
    python = checkout / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(checkout / "gone")

    assert not bootstrap.is_current()


def test_a_moved_checkout_asks_for_a_new_environment(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = checkout.rename(checkout.parent / "moved")
    for name, path in {"LOCK": "requirements.lock", "VENV": ".venv", "STAMP": ".venv/setup-stamp"}.items():
        monkeypatch.setattr(bootstrap, name, moved / path)
    monkeypatch.setattr(bootstrap, "PYTHON", moved / ".venv" / "bin" / "python")

    assert not bootstrap.is_current()


def test_a_step_that_fails_says_how_it_ended() -> None:
    with pytest.raises(bootstrap.SetupError, match="no such thing"):
        bootstrap.run(["sh", "-c", "echo no such thing; exit 3"])
    with pytest.raises(bootstrap.SetupError, match="sh failed with status 3"):
        bootstrap.run(["sh", "-c", "exit 3"])
