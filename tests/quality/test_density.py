"""Whether ids that nobody promised to be dense are."""

from collector.quality.density import ENOUGH, WINDOW, Density


def seen(*links: bool) -> Density:
    density = Density()
    for whole in links:
        density.link(whole=whole)
    return density


def test_nothing_is_said_before_enough_links_were_seen() -> None:
    assert seen(*[True] * (ENOUGH - 1)).dense is None
    assert seen(*[True] * ENOUGH).dense is True


def test_ids_that_a_bad_line_tears_now_and_then_are_still_dense() -> None:
    assert seen(*[True, False] * ENOUGH).dense is True


def test_ids_of_which_most_do_not_follow_are_not_dense() -> None:
    assert seen(*[True, False, False] * ENOUGH).dense is False


def test_only_the_newest_links_count() -> None:
    assert seen(*[False] * 500, *[True] * WINDOW).dense is True
    assert seen(*[True] * 500, *[False] * WINDOW).dense is False
