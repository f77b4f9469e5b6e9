"""docs/records.md says what the code does."""

from pathlib import Path

import pytest

from collector import describe_records
from collector.records import AnyRecord


def test_the_page_is_what_the_code_makes() -> None:
    assert describe_records.main(["--check"]) == 0


def test_every_record_and_every_field_is_on_the_page() -> None:
    page = describe_records.page()
    for kind in AnyRecord.__args__:
        assert f"## {kind.__name__}\n" in page
        for field in kind.__struct_fields__:
            assert f"| `{field}` |" in page


def test_a_page_that_was_edited_by_hand_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(describe_records, "PAGE", tmp_path / "records.md")
    assert describe_records.main(["--check"]) == 1
    assert describe_records.main([]) == 0
    assert describe_records.main(["--check"]) == 0
    (tmp_path / "records.md").write_text("mine")
    assert describe_records.main(["--check"]) == 1
    assert "run make docs" in capsys.readouterr().err
