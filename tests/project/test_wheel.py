"""The product as a user has it: the wheel alone, in an empty environment outside the checkout."""

import json
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
PACKAGES = ("collector", "telemetry", "alerting", "simulator")
TRADE = {
    "e": "trade", "E": 1700000000001, "s": "BTCUSDT", "t": 1, "p": "37000.10", "q": "0.00100",
    "T": 1700000000000, "m": True, "M": True,
}  # fmt: skip
TAPE_LINE = {"exchange": "binance", "transport": "ws", "channel": "trade", "market": "spot", "raw": json.dumps(TRADE)}

pytestmark = pytest.mark.full


def run(*command: str | Path, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    built = run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT, directory=out)
    assert built.returncode == 0, built.stdout + built.stderr
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment that holds the wheel and what run.lock gives it, nothing else."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=True)
    programs = place / "bin"
    steps: list[list[str | Path]] = [
        ["--no-deps", "--require-hashes", "-r", ROOT / "requirements" / "run.lock"],
        ["--no-deps", wheel],
    ]
    for what in steps:
        done = run(programs / "pip", "--disable-pip-version-check", "install", "--quiet", *what, directory=place)
        assert done.returncode == 0, done.stdout + done.stderr
    return programs


def test_the_wheel_holds_the_packages_their_data_and_the_licence_and_nothing_else(wheel: Path) -> None:
    inside = {item for item in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in item}
    kept = (path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file())
    assert inside == {str(path.relative_to(ROOT)) for path in kept if "__pycache__" not in path.parts}
    assert any(item.endswith("licenses/LICENSE") for item in zipfile.ZipFile(wheel).namelist())


def test_the_run_lock_is_all_that_the_wheel_needs(installed: Path, tmp_path: Path) -> None:
    checked = run(installed / "pip", "--disable-pip-version-check", "check", directory=tmp_path)
    assert checked.returncode == 0, checked.stdout


def test_the_installed_program_tells_its_version(installed: Path, tmp_path: Path) -> None:
    told = run(installed / "marketprism", "--version", directory=tmp_path)
    assert told.returncode == 0, told.stderr
    assert VERSION in told.stdout


def test_the_installed_program_replays_a_tape(installed: Path, tmp_path: Path) -> None:
    tape = tmp_path / "trade.jsonl"
    tape.write_text(json.dumps(TAPE_LINE) + "\n")
    replayed = run(installed / "marketprism", "replay", tape, directory=tmp_path)
    assert replayed.returncode == 0, replayed.stderr
    trades = [record for line in replayed.stdout.splitlines() if (record := json.loads(line))["type"] == "Trade"]
    assert [(trade["instrument"], trade["price"], trade["side"]) for trade in trades] == [
        ("BTC-USDT", "37000.10", "sell")
    ]
