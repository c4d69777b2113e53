"""Progress bars: none is made where none is shown."""

from sklearn_zoomout._utils.progress import show_progress


def test_no_bar_is_made_where_none_is_shown(capsys):
    """Its destructor could swallow a Ctrl-C."""
    items = iter("abc")
    assert show_progress(items, "letters", 3, quiet=True, unit="letter") is items
    assert capsys.readouterr().err == ""


def test_a_bar_counts_what_was_done_before(capsys):
    """It begins there."""
    shown = show_progress("bc", "letters", 3, quiet=False, unit="letter", done=1)
    assert list(shown) == ["b", "c"]
    assert "letters: 100%" in (err := capsys.readouterr().err) and "3/3" in err
