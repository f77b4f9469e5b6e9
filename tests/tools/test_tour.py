"""The pictures of the tour: nothing that was printed is lost, hidden or changed by being drawn."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tools.components import Ports
from tools.tour.svg import CELL, COLUMNS, PAD, WIDTH, Bar, terminal, waterfall
from tools.tour.walk import Walk

PICTURES = sorted((Path(__file__).parents[2] / "docs" / "tour").glob("*.svg"))
TEXT = "{http://www.w3.org/2000/svg}text"


def rows(picture: str) -> list[str]:
    """The rows of a terminal, below its title."""
    texts = ["".join(text.itertext()) for text in ET.fromstring(picture).iter(TEXT)]  # noqa: S314 - our own picture
    return [text.replace("\N{NO-BREAK SPACE}", " ") for text in texts[1:]]


def test_a_long_line_goes_on_in_the_next_row_and_loses_nothing() -> None:
    line = "".join(str(number) for number in range(200))
    drawn = rows(terminal("a title", [line], mark="99100"))
    assert len(drawn) == -(-len(line) // COLUMNS)
    assert "".join(drawn) == line


def test_what_was_printed_is_text_and_never_markup() -> None:
    line = '  {"a": "<text>&amp;</text>"}'
    assert rows(terminal("a < title", [line], mark="<text>")) == [line]


def test_a_wide_letter_takes_two_cells() -> None:
    picture = terminal("a title", ["行" * COLUMNS])
    assert rows(picture) == ["行" * (COLUMNS // 2)] * 2


def test_what_goes_on_after_a_backslash_was_typed_too_and_what_was_printed_was_not() -> None:
    drawn = ET.fromstring(terminal("a title", ["$ curl \\", "    -d x", "    answer"]))  # noqa: S314 - our own picture
    _, first, second, answer = (text.get("fill") for text in drawn.iter(TEXT))
    assert first == second != answer


def test_bars_stand_where_their_spans_began_and_are_as_long() -> None:
    picture = waterfall("a title", [Bar("gap", 0, 0, 100, "a=1"), Bar("GET", 1, 50, 25, "b=2")])
    drawn = list(ET.fromstring(picture).iter("{http://www.w3.org/2000/svg}rect"))[1:]  # noqa: S314 - our own picture
    (x0, wide0), (x1, wide1) = ((float(bar.get("x") or 0), float(bar.get("width") or 0)) for bar in drawn)
    assert x1 - x0 == pytest.approx(wide0 / 2, abs=0.2)
    assert wide1 == pytest.approx(wide0 / 4, abs=0.2)


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.stem)
def test_no_row_of_a_picture_reaches_beyond_its_edge(picture: Path) -> None:
    for text in ET.parse(picture).iter(TEXT):  # noqa: S314 - our own picture
        wide = float(text.get("textLength") or len("".join(text.itertext())) * CELL)
        left = float(text.get("x") or 0) - (wide / 2 if text.get("text-anchor") == "middle" else 0)
        assert left >= PAD / 2
        assert left + wide <= WIDTH - PAD / 2, "".join(text.itertext())


def test_ports_and_folders_of_the_run_are_shown_as_they_are_by_default() -> None:
    walk = Walk(Path("/somewhere/new"), Ports(collector=41001, prometheus=41002), 41003, Path("demo.log"))
    said = "curl http://127.0.0.1:41001/health localhost:41003/control 127.0.0.1:410021 /somewhere/new/demo"
    assert walk._usual(said) == "curl http://127.0.0.1:8080/health localhost:8900/control 127.0.0.1:410021 ~/demo"
