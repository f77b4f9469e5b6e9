"""`make env`: random passwords, readable by their owner alone, and nothing that is there is changed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools import env
from tools.programs import ROOT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".env.example").write_text((ROOT / ".env.example").read_text())
    return tmp_path


def made(folder: Path) -> dict[str, str]:
    return env.read((folder / ".env").read_text())


def test_the_example_is_copied_and_only_passwords_are_filled_in(folder: Path) -> None:
    assert env.main(["--folder", str(folder)]) == 0
    example = env.read((folder / ".env.example").read_text())
    changed = {name: text for name, text in made(folder).items() if text != example[name]}
    assert set(changed) == {"GRAFANA_PASSWORD"}
    assert re.fullmatch(r"[\w-]{32}", changed["GRAFANA_PASSWORD"])
    assert set(made(folder)) == set(example)


def test_the_login_is_printed_and_is_that_of_the_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env.main(["--folder", str(folder)])
    password = made(folder)["GRAFANA_PASSWORD"]
    assert f"Grafana: http://127.0.0.1:3000  user admin  password {password}\n" in capsys.readouterr().out


def test_two_places_have_different_passwords(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / ".env.example").write_text((folder / ".env.example").read_text())
    for place in (folder, other):
        env.main(["--folder", str(place)])
    assert made(folder)["GRAFANA_PASSWORD"] != made(other)["GRAFANA_PASSWORD"]
    tokens = {(place / "secrets" / "bridge-token").read_text() for place in (folder, other)}
    assert len(tokens) == 2
    assert all(len(token) == 32 for token in tokens)


def test_only_their_owner_reads_what_is_written(folder: Path) -> None:
    env.main(["--folder", str(folder)])
    assert (folder / ".env").stat().st_mode & 0o777 == 0o600
    assert (folder / "secrets").stat().st_mode & 0o777 == 0o700
    # mounted as they are into containers, whose programs are other users
    assert {file.name: file.stat().st_mode & 0o777 for file in (folder / "secrets").iterdir()} == {
        "bridge-token": 0o644,
        "none": 0o644,
    }
    assert (folder / "secrets" / "none").read_text() == ""


def test_nothing_that_is_there_is_changed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env.main(["--folder", str(folder)])
    with (folder / ".env").open("a") as file:
        file.write("MINE=1\n")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert env.main(["--folder", str(folder)]) == 0
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    said = capsys.readouterr().out
    assert said.startswith(".env is there and stays as it is\n")
    assert made(folder)["GRAFANA_PASSWORD"] not in said


def test_a_version_that_has_moved_and_a_name_that_is_new_are_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (folder / ".env.example").read_text()
    (folder / ".env").write_text(text.replace("LOKI_VERSION=3.7.6", "LOKI_VERSION=3.0.0").replace("QUAY_IO=", "OTHER="))
    env.main(["--folder", str(folder)])
    said = capsys.readouterr().out.splitlines()
    assert "LOKI_VERSION is 3.0.0; .env.example has 3.7.6" in said
    assert "QUAY_IO is missing; .env.example has QUAY_IO=quay.io" in said


def test_a_link_that_leads_elsewhere_is_not_followed(folder: Path) -> None:
    target = folder / "elsewhere"
    target.write_text("GRAFANA_PASSWORD=kept\n")
    (folder / ".env").symlink_to(target)
    env.main(["--folder", str(folder)])
    assert target.read_text() == "GRAFANA_PASSWORD=kept\n"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert env.main(["--folder", str(tmp_path / "none")]) == 1
    assert "none/.env.example: No such file or directory" in capsys.readouterr().err


def test_it_runs_in_an_environment_without_any_package(folder: Path) -> None:
    program = "import sys; sys.path.insert(0, sys.argv[1]); from tools.env import main; sys.exit(main(sys.argv[2:]))"
    command = [sys.executable, "-I", "-S", "-c", program, str(ROOT), "--folder", str(folder)]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
