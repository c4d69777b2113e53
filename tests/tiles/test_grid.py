"""How an image is cut into tiles."""

import numpy as np
import pytest

from sklearn_zoomout.tiles._grid import Grid, choose_grid


@pytest.mark.parametrize("size", [None, 1, 64, 100, 10_000])
@pytest.mark.parametrize("shape", [(1, 1), (300, 410), (64, 1000)])
def test_tiles_cover_every_pixel_once(shape, size):
    """No pixel is in two tiles or in none, and windows lie in the image."""
    times = np.zeros(shape, dtype=int)
    for tile in Grid(unit=32, margin=64).tiles(shape, size):
        times[tile.top : tile.bottom, tile.left : tile.right] += 1
        top, left, bottom, right = tile.window
        assert 0 <= top <= tile.top < tile.bottom <= bottom <= shape[0]
        assert 0 <= left <= tile.left < tile.right <= right <= shape[1]
        height, width = (part.stop - part.start for part in tile.inside)
        assert (height, width) == (tile.bottom - tile.top, tile.right - tile.left)
    np.testing.assert_array_equal(times, 1)


def test_windows_begin_at_multiples_of_the_unit():
    """Their cells and blocks are those of the image."""
    grid = choose_grid(20, {28}, None)
    tiles = list(grid.tiles((3000, 4000), 700))
    assert len(tiles) > 10
    assert all(tile.window[0] % 20 == tile.window[0] % 28 == 0 for tile in tiles)
    assert all(tile.window[1] % 20 == tile.window[1] % 28 == 0 for tile in tiles)


def test_margins_hold_the_cells_and_the_context_of_the_network():
    """A stated margin is rounded up to whole units."""
    assert choose_grid(20, {40}, None).margin >= max(8 * 20, 6 * 40)
    assert choose_grid(20, {40}, 50).margin == 80
    assert choose_grid(None, set(), 7).margin == 7


def test_a_large_common_multiple_gives_way_to_the_blocks():
    """Tiles of thousands of pixels would not be tiles."""
    assert choose_grid(23, {59}, None).unit == 59
