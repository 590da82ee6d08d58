"""Max pooling by slices is torch's own, to the bit."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from landscope.landscape.pooling import SlicedPooling

IMAGES = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))

POOLS = {
    "2": lambda x: F.max_pool2d(x, 2),
    "(3, 2)": lambda x: F.max_pool2d(x, (3, 2)),
    "[2]": lambda x: torch.max_pool2d(x, [2]),
    "stride 3": lambda x: F.max_pool2d(x, 3, stride=3),
    "no stride": lambda x: torch.max_pool2d(x, 2, stride=()),
    "1": lambda x: F.max_pool2d(x, 1),
    "whole": lambda x: F.max_pool2d(x, 12),
    "module": nn.MaxPool2d(4),
    "3/2": lambda x: F.max_pool2d(x, 3, 2),
    "padded": lambda x: F.max_pool2d(x, 2, padding=1),
    "dilated": lambda x: F.max_pool2d(x, 2, dilation=2),
    "rest": lambda x: F.max_pool2d(x, 5),
    "ceil": lambda x: F.max_pool2d(x, 5, ceil_mode=True),
    "indices": lambda x: F.max_pool2d(x, 2, return_indices=True),
    "adaptive": lambda x: F.adaptive_max_pool2d(x, 5),
    "average": lambda x: F.avg_pool2d(x, 2),
    "1-D": lambda x: F.max_pool1d(x.flatten(2), 2),
    "3-D": lambda x: F.max_pool3d(x.unsqueeze(0).contiguous(), (1, 2, 2)),
    "keywords": lambda x: F.max_pool2d(input=x, kernel_size=2),
}


@pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS)
@pytest.mark.parametrize(
    "image",
    [
        IMAGES,
        IMAGES.to(memory_format=torch.channels_last),
        IMAGES[:1],
        IMAGES.double(),
        IMAGES.bfloat16(),
        IMAGES.transpose(2, 3)[:, :2],
        (IMAGES > 1.5).float().log(),
        IMAGES.where(IMAGES.abs() < 2, torch.nan),
    ],
)
def test_the_same_to_the_bit(pool, image):
    expected = pool(image)
    with SlicedPooling():
        found = pool(image)
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


def test_many_images_at_once():
    stacked = torch.stack([IMAGES, IMAGES.flip(0)])
    expected = F.max_pool2d(stacked.flatten(0, 1), 2).unflatten(0, (2, 2))
    with SlicedPooling():
        torch.testing.assert_close(torch.vmap(lambda x: F.max_pool2d(x, 2))(stacked), expected, rtol=0, atol=0)


def test_what_torch_refuses_is_refused():
    with SlicedPooling(), pytest.raises(RuntimeError):
        F.max_pool2d(IMAGES, 0)


def test_a_single_image():
    expected = F.max_pool2d(IMAGES[0], 3)
    with SlicedPooling():
        torch.testing.assert_close(F.max_pool2d(IMAGES[0], 3), expected, rtol=0, atol=0)
