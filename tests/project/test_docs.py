"""What the documents name exists: make targets, commands of the program, files, links."""

import re
import sys
from pathlib import Path

import pytest

from collector.cli import main

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path for path in ROOT.rglob("*.md") if not any(part.startswith(".") for part in path.relative_to(ROOT).parts[:-1])
)
FENCE = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
ROOT_FILE = re.compile(r"^[A-Za-z][\w.-]*\.(md|toml|yaml|yml|lock|cfg)$")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def code(document: Path) -> list[str]:
    """Each line of a code block, and each span of code in the text."""
    text = document.read_text()
    blocks = [line for block in FENCE.findall(text) for line in block.splitlines()]
    return blocks + SPAN.findall(FENCE.sub("", text))


def made() -> list[tuple[str, str]]:
    """Every `make X` of the documents, with its document."""
    return [
        (name(doc), target)
        for doc in DOCUMENTS
        for text in code(doc)
        for target in re.findall(r"\bmake ([a-z][a-z-]*)", text)
    ]


def commanded() -> dict[str, str]:
    """Every `marketprism X` of the documents, with one document that has it."""
    return {
        command: name(doc)
        for doc in DOCUMENTS
        for text in code(doc)
        for command in re.findall(r"(?:^|[\s/(])marketprism ([a-z][a-z-]*)", text)
    }


def test_every_make_target_that_a_document_names_exists() -> None:
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    assert [pair for pair in made() if pair[1] not in phony[1].split()] == []


def test_every_command_that_a_document_names_exists(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unknown = {}
    for command, document in commanded().items():
        monkeypatch.setattr(sys, "argv", ["marketprism", command, "--help"])
        try:
            answer = main()
        except SystemExit as ended:
            answer = ended.code if isinstance(ended.code, int) else 1
        if answer != 0 or command not in capsys.readouterr().out:
            unknown[command] = document
    assert unknown == {}


def test_every_path_that_a_document_names_exists() -> None:
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()}
    missing = []
    for document in DOCUMENTS:
        for span in SPAN.findall(FENCE.sub("", document.read_text())):
            path = re.sub(r"<[^>]*>", "*", span).rstrip("/")
            ours = path.split("/")[0] in folders if "/" in span else ROOT_FILE.match(path)
            if ours and " " not in path and not (any(ROOT.glob(path)) or any(document.parent.glob(path))):
                missing.append((name(document), span))
    assert missing == []


def test_every_link_between_documents_leads_somewhere() -> None:
    broken = []
    for document in DOCUMENTS:
        for link in LINK.findall(FENCE.sub("", document.read_text())):
            target = link.split("#")[0]
            if (
                target
                and "://" not in target
                and not target.startswith("mailto:")
                and not (document.parent / target).exists()
            ):
                broken.append((name(document), link))
    assert broken == []


def test_every_picture_is_shown_on_a_page() -> None:
    pictures = {path.resolve() for kind in ("svg", "png") for path in (ROOT / "docs").rglob(f"*.{kind}")}
    shown = {
        (document.parent / link).resolve()
        for document in DOCUMENTS
        for link in re.findall(r"!\[[^\]]+\]\(([^)\s]+)\)", document.read_text())
    }
    assert pictures
    assert pictures - shown == set()


def test_no_picture_shows_a_folder_of_the_machine_that_made_it() -> None:
    for picture in (ROOT / "docs").rglob("*.svg"):
        assert re.findall(r"/(?:tmp|home|root|work|Users|var)/[^<\s]*", picture.read_text()) == [], picture
