"""What a classifier looks at: gradients of its logits with respect to the pixels, class by class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from onelip.layers.plain import evaluating
from onelip.metrics import correct
from onelip.pictures.canvas import drawable, mosaic, save
from onelip.pictures.colours import INK, signed_picture

Norm = Literal["l2", "linf"]

N_CLASSES = 10
"""Of more classes so many are shown, evenly spread."""

_FULL_COLOUR = 0.995
"""The share of all entries that the scale of colours reaches; the few beyond have the colour of its end."""


_ROW = 1.2
"""Inches from one row of pictures to the next, with room for a norm."""


@dataclass(frozen=True, eq=False)
class ClassGradients:
    """One image of each class, and the gradient of each logit there.

    Attributes:
        images: `(K, C, H, W)` one image of each of K classes.
        classes: The K classes, rising.
        index: Position of each image in what was given.
        right: `(K,)` is the image classified rightly?
        gradients: `(K, K, C, H, W)`: entry (i, j) is the gradient of the logit of class j at the image of class i.
        norms: `(K, K)` float64 norm of each, by which a change of the image of length 1 can change the logit; at most
            the Lipschitz constant of the network, and equal to it where the gradient norm is preserved.
        norm: Norm of the changes. `norms` are in the dual one: l2 for "l2", l1 for "linf".
    """

    images: Tensor
    classes: tuple[int, ...]
    index: tuple[int, ...]
    right: tuple[bool, ...]
    gradients: Tensor
    norms: Tensor
    norm: Norm

    @property
    def scale(self) -> float:
        """The absolute value that gets full colour, the same in all pictures; 1 if all gradients are 0."""
        sizes = self.gradients.abs().flatten().double().nan_to_num(0.0)
        rank = min(len(sizes), 1 + int(_FULL_COLOUR * len(sizes)))
        return float(sizes.kthvalue(rank).values) or float(sizes.max()) or 1.0

    def picture(self, row: int, column: int) -> Tensor:
        """Show one gradient.

        Args:
            row: Which image.
            column: Which logit.

        Returns:
            `(3, H, W)` in [0, 1]; of one channel orange is negative and blue positive, of three grey is zero.
        """
        return signed_picture(self.gradients[row, column], self.scale)

    def plot(self, path: str | Path, *, classes: Sequence[str] | None = None) -> None:
        """Draw the images, and to the right of each its gradients with their norms; needs matplotlib.

        Args:
            path: Where; the ending, such as .png, .svg or .pdf, says in which format.
            classes: Names of all classes; their numbers by default.
        """
        names = [(str(c) if classes is None else classes[c])[:12] for c in self.classes]
        n, step = len(names), 1.08
        left, top = 0.3, 0.3
        placed = [(drawable(self.images[i]), left, top + _ROW * i) for i in range(n)]
        places = {(i, j): (left + step * (j + 1), top + _ROW * i) for i in range(n) for j in range(n)}
        placed += [(drawable(self.picture(*at)), *place) for at, place in places.items()]
        axes = mosaic(placed, left + step * (n + 1) + 0.1, top + _ROW * n + 0.4)
        style = {"ha": "center", "fontsize": 8, "color": INK}
        for j, name in enumerate(["image", *names]):
            axes.text(left + step * j + 0.5, top - 0.06, name, **style)
        for i, name in enumerate(names):
            axes.text(left - 0.06, top + _ROW * i + 0.5, name, rotation=90, va="center", **style | {"ha": "right"})
        for at, (x, y) in places.items():
            axes.text(x + 0.5, y + 1.02, f"{self.norms[at]:.3f}", va="top", **style)
        axes.text(left, top + _ROW * n + 0.06, self._caption(n), va="top", **style | {"ha": "left"})
        save(axes.figure, path)

    def _caption(self, n: int) -> str:
        dual = "l2" if self.norm == "l2" else "l1"
        colours = "grey is 0" if self.images.shape[1] == 3 else "orange negative, blue positive"
        text = f"Gradient of each logit (column) at an image of each class (row), {dual} norm below."
        return f"{text}{' ' if n > 6 else chr(10)}Full colour at {self.scale:.2g}; {colours}."


def class_gradients(
    model: nn.Module, images: Tensor, labels: Tensor, *, norm: Norm = "l2", n_classes: int = N_CLASSES
) -> ClassGradients:
    """Take an image of each class and the gradients of all their logits.

    Of each class comes the first image that is classified rightly, or the first one if none is.

    Args:
        model: A classifier of `images`; evaluated in eval mode and left as it was.
        images: `(N, C, H, W)`.
        labels: `(N,)` int64.
        norm: Norm in which changes of an image are measured.
        n_classes: Of more classes than so many, which must be at least 1, as many are taken, evenly spread.

    Returns:
        The gradients.

    Raises:
        ValueError: If there is no image, an argument is out of range, or a label has no logit.
    """
    if norm not in ("l2", "linf"):
        raise ValueError(f"norm={norm!r} in class_gradients must be 'l2' or 'linf'")
    if len(images) == 0 or images.dim() != 4 or n_classes < 1:
        raise ValueError(
            f"images of shape {tuple(images.shape)} and n_classes={n_classes} in class_gradients must be (N, C, H, W) "
            "with N >= 1, and at least 1"
        )
    present = labels.unique()
    n = min(n_classes, len(present))
    classes = present[torch.arange(n, device=present.device) * len(present) // n]
    with evaluating(model):
        index, right = _first_images(model, images, labels, classes)
        x = images[index].detach().clone().requires_grad_(True)
        with torch.enable_grad():
            logits = model(x)
            if int(classes.max()) >= logits.shape[1]:
                raise ValueError(
                    f"labels hold {int(classes.max())} in class_gradients, but there are {logits.shape[1]} logits"
                )
            parts = [torch.autograd.grad(logits[:, c].sum(), x, retain_graph=True)[0] for c in classes.tolist()]
    gradients = torch.stack(parts, 1)
    flat = gradients.double().flatten(2)
    norms = torch.linalg.vector_norm(flat, ord=2 if norm == "l2" else 1, dim=2)
    chosen = tuple(index.tolist()), tuple(right.tolist())
    return ClassGradients(x.detach(), tuple(classes.tolist()), *chosen, gradients, norms, norm)


def _first_images(model: nn.Module, images: Tensor, labels: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        right = torch.cat([correct(model(x), y) for x, y in zip(images.split(256), labels.split(256), strict=True)])
    index = []
    for label in classes.tolist():
        of_class = torch.nonzero(labels == label)[:, 0]
        good = of_class[right[of_class]]
        index.append(int(good[0] if len(good) else of_class[0]))
    chosen = torch.tensor(index, device=images.device)
    return chosen, right[chosen]
