"""The generators of InfoGAN and DCGAN, for images of many sizes."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from onelip.gan.registry import check_sizes, register_generator


@register_generator("infogan")
def infogan(*, image_shape: tuple[int, int, int], n_latent: int, dense: int = 1024, width: int = 64) -> nn.Sequential:
    """Two dense layers and two transposed convolutions of stride 2, the shape of InfoGAN's generator.

    Dense to `dense` features, dense to 2 `width` channels at a quarter of the image's sides, transposed convolutions
    (4x4 kernel, stride 2, padding 1) to `width` channels and to the image. Batch normalisation and ReLU come behind all
    but the last, which ends in a sigmoid.

    Args:
        image_shape: `(C, H, W)`; H and W must be multiples of 4.
        n_latent: Latent numbers of an image.
        dense: Features of the first layer.
        width: Channels before the last layer.

    Returns:
        The generator.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        Chen, Duan, Houthooft, Schulman, Sutskever and Abbeel 2016, arXiv:1606.03657, appendix on MNIST.
    """
    check_sizes("infogan", dense=dense, width=width)
    channels, height, wide = image_shape
    if height % 4 or wide % 4:
        raise ValueError(f"image_shape={image_shape} of generator 'infogan' must have sides that are multiples of 4")
    start = (2 * width, height // 4, wide // 4)
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    # A bias before a batch normalisation would be subtracted again.
    parts["dense1"], parts["norm1"] = nn.Linear(n_latent, dense, bias=False), nn.BatchNorm1d(dense)
    parts["act1"] = nn.ReLU()
    n_features = start[0] * start[1] * start[2]
    parts["dense2"], parts["norm2"] = nn.Linear(dense, n_features, bias=False), nn.BatchNorm1d(n_features)
    parts["act2"], parts["shape"] = nn.ReLU(), nn.Unflatten(1, start)
    parts |= _doubling(1, 2 * width, width)
    return _with_image(parts, width, channels)


@register_generator("dcgan")
def dcgan(*, image_shape: tuple[int, int, int], n_latent: int, width: int = 64, start: int = 4) -> nn.Sequential:
    """A dense layer and transposed convolutions of stride 2, each with half as many channels, as DCGAN.

    Images begin at the smallest sides that are not below `start` when halved: 4x4 for 8x8, 32x32 and 64x64, 7x7 for
    28x28, 6x6 for 96x96. Every transposed convolution has a 4x4 kernel, stride 2 and padding 1. Batch normalisation and
    ReLU come behind all but the last, which ends in a sigmoid.

    Args:
        image_shape: `(C, H, W)`; H and W can be halved at least once without falling below `start`.
        n_latent: Latent numbers of an image.
        width: Channels before the last layer.
        start: Least height and width of the first image of features.

    Returns:
        The generator.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        Radford, Metz and Chintala 2015, arXiv:1511.06434.
    """
    check_sizes("dcgan", width=width, start=start)
    channels, height, wide = image_shape
    n_doublings = 0
    while height % 2 == 0 and wide % 2 == 0 and min(height, wide) // 2 >= start:
        height, wide, n_doublings = height // 2, wide // 2, n_doublings + 1
    if n_doublings == 0:
        raise ValueError(
            f"image_shape={image_shape} of generator 'dcgan' cannot be halved; its sides must be even and at least "
            f"{2 * start} (start={start})"
        )
    n_out = width * 2 ** (n_doublings - 1)
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["dense"] = nn.Linear(n_latent, n_out * height * wide, bias=False)
    parts["shape"], parts["norm"] = nn.Unflatten(1, (n_out, height, wide)), nn.BatchNorm2d(n_out)
    parts["act"] = nn.ReLU()
    for i in range(1, n_doublings):
        parts |= _doubling(i, n_out, n_out // 2)
        n_out //= 2
    return _with_image(parts, n_out, channels)


def _doubling(number: int, n_in: int, n_out: int) -> OrderedDict[str, nn.Module]:
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts[f"up{number}"] = nn.ConvTranspose2d(n_in, n_out, 4, 2, 1, bias=False)
    parts[f"up{number}_norm"], parts[f"up{number}_act"] = nn.BatchNorm2d(n_out), nn.ReLU()
    return parts


# The published tanh of a, moved from [-1, 1] to pixels, is the sigmoid of 2 a.
def _with_image(parts: OrderedDict[str, nn.Module], n_in: int, channels: int) -> nn.Sequential:
    parts["image"], parts["pixels"] = nn.ConvTranspose2d(n_in, channels, 4, 2, 1), nn.Sigmoid()
    return nn.Sequential(parts)
