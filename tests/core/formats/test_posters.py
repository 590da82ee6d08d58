"""A map as an image: read again by hand, its points have the colours of what became of them."""

import struct
import zlib

import numpy as np
import pytest

from landscope.figures.trainability import trainability_colours
from landscope.formats import to_poster
from landscope.formats.posters import encode_png
from landscope.landscape import trainability_map
from landscope.population import mean_field


def decoded(png):
    """The image (H, W, 3) of a PNG without filters; checks of all chunks are verified."""
    assert png[:8] == bytes([137, 80, 78, 71, 13, 10, 26, 10])
    chunks, at = {}, 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        name, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length])[0] == zlib.crc32(name + data)
        chunks[name] = data
        at += 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, *kind = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert kind == [8, 2, 0, 0, 0]
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + 3 * width)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, 3)


def test_an_image_is_what_is_read_again():
    colours = np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8)
    np.testing.assert_array_equal(decoded(encode_png(colours)), colours)
    with pytest.raises(ValueError, match="colours must be"):
        encode_png(colours[..., 0])


def test_a_poster_is_blue_where_training_converges_and_orange_where_not():
    shown = trainability_map(mean_field(width=4, steps=30), points=(5, 9))
    assert 0 < shown.converged.sum() < shown.converged.size
    small = trainability_colours(shown)
    assert small.shape == (9, 5, 3)
    np.testing.assert_array_equal(small[..., 2] > small[..., 0], shown.converged.T[::-1])
    large = decoded(to_poster(shown, pixels=90))
    np.testing.assert_array_equal(large[::10, ::18], small)
    np.testing.assert_array_equal(large[9::10, 17::18], small)
    with pytest.raises(ValueError, match="pixels must be at least 1"):
        to_poster(shown, pixels=0)
