"""Certificates: what they hold, and how they are written and read."""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from typing_extensions import override

import onelip
from onelip.bounds import LayerBound, NetworkBound
from onelip.bounds.registry import Norm
from onelip.certify.checker.claims import claim
from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.files import (
    ARCHITECTURE,
    CERTIFICATE_FORMAT,
    SAMPLES,
    WEIGHTS,
    canonical,
    parse_json,
    read_certificate,
    read_files,
    unpack_arrays,
)
from onelip.certify.records import Network, from_json, named_tensors, to_json
from onelip.linalg import Bound

CERTIFICATE_FILE = "certificate.json"
NAMED_RADII: dict[Norm, tuple[float, ...]] = {
    "l2": (36 / 255, 72 / 255, 108 / 255, 0.25, 0.5, 1.0),
    "linf": (1 / 255, 2 / 255, 4 / 255, 8 / 255, 16 / 255, 0.1),
}


@dataclass(frozen=True, eq=False)
class Certificate:
    """Proved radii within which the predictions of a network on given samples cannot change.

    The claim is about the function of the stored numbers at the stored samples: with semantics "real" in real
    arithmetic, with "executed-float64" as `run`, or any other float64 evaluation of the frozen operations, computes it.

    Attributes:
        network: The frozen network.
        bound: Its Lipschitz constant, in the norm of the radii, with an audit of its parts.
        runs: Runs of dense layers that are bounded as a whole, with the radii that prove it, as JSON values.
        semantics: "real" or "executed-float64".
        images: `(N, ...)` uint8 stored values or float32.
        scale: Stored value of a pixel of 1; pixels are float32(images) / float32(scale).
        labels: `(N,)` int64.
        predictions: `(N,)` int64.
        radii: `(N,)` float64, in pixel units; 0 where the prediction is wrong. At most 1e12. The least of each row of
            `class_radii`.
        class_radii: `(N, n_classes)` float64: within which each class cannot overtake the label; 1e12 for the label.
        pair_constants: `(n_classes, n_classes)` float64 proved Lipschitz constants of all differences of logits.
        growth: By how much the bound of the rounding error of each logit grows per unit of radius; 0 for "real".
        head: "linear" if the radii use the distances of pairs of rows of the last layer, "joined" if they use the
            constants of separate logits, else "global".
        head_constant: The constant that the radii divide by, without those distances (or sqrt 2).
        head_node: Name of the last layer, or of the output.
        constants: Proved l2 constant of every node, for the checker to aim at.
        created: When, ISO 8601.
    """

    network: Network
    bound: NetworkBound
    runs: list[dict[str, Any]]
    semantics: str
    images: npt.NDArray[Any]
    scale: float
    labels: npt.NDArray[np.int64]
    predictions: npt.NDArray[np.int64]
    radii: npt.NDArray[np.float64]
    class_radii: npt.NDArray[np.float64]
    pair_constants: npt.NDArray[np.float64]
    growth: float
    head: str
    head_constant: float
    head_node: str
    constants: dict[str, float]
    created: str

    @property
    def proved(self) -> bool:
        """Is every part of the constant proved?"""
        return self.bound.proved

    @property
    def norm(self) -> Norm:
        """In which radii are measured, "l2" or "linf"."""
        return self.bound.norm

    @property
    def accuracy(self) -> float:
        """Share of samples whose prediction is the label, in [0, 1]."""
        return float((self.predictions == self.labels).mean())

    def certified_accuracy(self, radius: float) -> float:
        """Share of samples that are classified rightly everywhere within a distance.

        Args:
            radius: In pixel units and the norm of the certificate, >= 0.

        Returns:
            The share of radii that are greater, in [0, 1].

        Raises:
            ValueError: If `radius` is negative or NaN.
        """
        if not radius >= 0:
            raise ValueError(f"radius={radius} in certified_accuracy must be a number >= 0")
        return float((self.radii > radius).mean())

    @property
    def claim(self) -> str:
        """The certificate in one sentence; it says if the constant is an estimate."""
        pixels = self.images.astype(np.float32) / np.float32(self.scale)
        limits = float(pixels.min()), float(pixels.max())
        right = self.predictions == self.labels
        return claim(self.proved, self.bound.value, right, self.radii, limits, norm=self.norm, semantics=self.semantics)

    def summary(self) -> str:
        """Write a readable report.

        Returns:
            The claim, the certified accuracies, what comes nearest to the labels, and the audit of the constant.
        """
        named = NAMED_RADII[self.norm]
        rows = [f"  radius {r:<8.6g} certified accuracy {self.certified_accuracy(r):.4f}" for r in named]
        head = f"radii from the {self.head} head at {self.head_node!r}, constant before it {self.head_constant:.9g}"
        return "\n".join([self.claim, *rows, *self._nearest(), head, str(self.bound)])

    def _nearest(self) -> list[str]:
        certified = self.radii > 0
        if not certified.any():
            return []
        pairs = np.stack([self.labels, self.class_radii.argmin(1)], 1)[certified]
        found, counts = np.unique(pairs, axis=0, return_counts=True)
        label, other = found[counts.argmax()].tolist()
        share = f"{counts.max()} of {certified.sum()} certified samples"
        return [f"most often, class {other} is nearest to overtaking label {label} ({share})"]

    @override
    def __str__(self) -> str:
        return self.summary()

    def save(self, folder: str | Path) -> Path:
        """Write the certificate's four files; a reader sees the old ones or the new ones, each one whole.

        Args:
            folder: Where; made if missing. `certificate.json`, `weights.safetensors`, `architecture.json` and
                `samples.safetensors` in it are replaced.

        Returns:
            Path of `certificate.json`, to give to `verify`.
        """
        from safetensors.numpy import save as pack_arrays
        from safetensors.torch import save as pack_tensors

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        contents = {
            WEIGHTS: pack_tensors(dict(named_tensors(self.network))),
            ARCHITECTURE: json.dumps(to_json(self.network), indent=1).encode(),
            SAMPLES: pack_arrays(
                {
                    "images": self.images,
                    "labels": self.labels,
                    "class_radii": np.ascontiguousarray(self.class_radii),
                    "pair_constants": np.ascontiguousarray(self.pair_constants),
                }
            ),
        }
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
        body = self._to_json(hashes)
        body["hash"] = hashlib.sha256(canonical(body)).hexdigest()
        for name, data in (contents | {CERTIFICATE_FILE: canonical(body)}).items():
            _write_atomically(folder / name, data)
        return folder / CERTIFICATE_FILE

    def _to_json(self, hashes: dict[str, str]) -> dict[str, Any]:
        return {
            "claim": self.claim,
            "format": CERTIFICATE_FORMAT,
            "created": self.created,
            "software": {"onelip": onelip.__version__, "torch": torch.__version__},
            "semantics": self.semantics,
            "norm": self.norm,
            "lipschitz": _bound_to_json(self.bound.bound),
            "tightened": {
                "constant": None if self.bound.tightened is None else _bound_to_json(self.bound.tightened),
                "runs": self.runs,
            },
            "layers": [_layer_to_json(layer) for layer in self.bound.layers],
            "constants": {name: value.hex() for name, value in self.constants.items()},
            "head": {"kind": self.head, "node": self.head_node, "constant": self.head_constant.hex()},
            "growth": self.growth.hex(),
            "input": {
                "shape": list(self.bound.input_shape),
                "dtype": str(self.images.dtype),
                "scale": self.scale.hex(),
            },
            "samples": len(self.radii),
            "accuracy": self.accuracy,
            "certified_accuracy": {
                f"{r:.6g}": self.certified_accuracy(float(f"{r:.6g}")) for r in NAMED_RADII[self.norm]
            },
            "labels": self.labels.tolist(),
            "predictions": self.predictions.tolist(),
            "radii": [radius.hex() for radius in self.radii.tolist()],
            "files": hashes,
        }


def _bound_to_json(bound: Bound) -> dict[str, Any]:
    decimal = bound.value if math.isfinite(bound.value) else None
    return {"value": bound.value.hex(), "decimal": decimal, "proved": bound.proved, "method": bound.method}


def _bound_from_json(row: dict[str, Any]) -> Bound:
    return Bound(float.fromhex(row["value"]), row["proved"], row["method"])


def _layer_to_json(layer: LayerBound) -> dict[str, Any]:
    return {
        "name": layer.name,
        "kind": layer.kind,
        "constant": _bound_to_json(layer.bound),
        "cumulative": _bound_to_json(layer.cumulative),
        "input_shape": list(layer.input_shape),
        "output_shape": list(layer.output_shape),
    }


def _layer_from_json(row: dict[str, Any]) -> LayerBound:
    bounds = _bound_from_json(row["constant"]), _bound_from_json(row["cumulative"])
    return LayerBound(row["name"], row["kind"], *bounds, tuple(row["input_shape"]), tuple(row["output_shape"]))


def _write_atomically(path: Path, data: bytes) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def load_certificate(path: str | Path) -> Certificate:
    """Read a certificate back, after comparing the hashes of its files.

    Nothing is proved again; that is what `verify` does.

    Args:
        path: `certificate.json`, or the folder that holds it.

    Returns:
        The certificate.

    Raises:
        VerificationError: If a file is missing, or any byte of one was changed.
    """
    file = Path(path)
    file = file / CERTIFICATE_FILE if file.is_dir() else file
    values = read_certificate(file)
    contents = read_files(file.parent, values["files"])
    weights = unpack_arrays(contents[WEIGHTS], WEIGHTS)
    samples = unpack_arrays(contents[SAMPLES], SAMPLES)
    try:
        tensors = {name: torch.from_numpy(array) for name, array in weights.items()}
        constants = {name: float.fromhex(text) for name, text in values["constants"].items()}
        return Certificate(
            network=from_json(parse_json(contents[ARCHITECTURE], ARCHITECTURE), tensors, constants),
            bound=_network_bound_from_json(values),
            runs=values["tightened"]["runs"],
            semantics=values["semantics"],
            images=samples["images"],
            scale=float.fromhex(values["input"]["scale"]),
            labels=samples["labels"],
            predictions=np.array(values["predictions"], dtype=np.int64),
            radii=np.array([float.fromhex(r) for r in values["radii"]], dtype=np.float64),
            class_radii=samples["class_radii"],
            pair_constants=samples["pair_constants"],
            growth=float.fromhex(values["growth"]),
            head=values["head"]["kind"],
            head_constant=float.fromhex(values["head"]["constant"]),
            head_node=values["head"]["node"],
            constants=constants,
            created=values["created"],
        )
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise VerificationError(f"{file} is malformed: {type(error).__name__} {error}") from error


def _network_bound_from_json(values: dict[str, Any]) -> NetworkBound:
    rows = tuple(map(_layer_from_json, values["layers"]))
    shape, tightened = tuple(values["input"]["shape"]), values["tightened"]["constant"]
    smaller = None if tightened is None else _bound_from_json(tightened)
    return NetworkBound(_bound_from_json(values["lipschitz"]), rows, shape, values["norm"], smaller)


def now() -> str:
    """Tell the time.

    Returns:
        ISO 8601 with the zone, to the second.
    """
    return datetime.now().astimezone().isoformat(timespec="seconds")
