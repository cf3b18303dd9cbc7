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
from onelip.certify.checker.verification import claim
from onelip.certify.records import Network, from_json, named_tensors, to_json
from onelip.linalg import Bound

CERTIFICATE_FILE = "certificate.json"
NAMED_RADII = (36 / 255, 72 / 255, 108 / 255, 0.25, 0.5, 1.0)


@dataclass(frozen=True, eq=False)
class Certificate:
    """Proved l2 radii within which the predictions of a network on given samples cannot change.

    The claim is about the real-arithmetic function of the stored numbers, at the stored samples.

    Attributes:
        network: The frozen network.
        bound: Its Lipschitz constant with an audit of its parts.
        images: `(N, ...)` uint8 stored values or float32.
        scale: Stored value of a pixel of 1; pixels are float32(images) / float32(scale).
        labels: `(N,)` int64.
        predictions: `(N,)` int64.
        radii: `(N,)` float64, l2, in pixel units; 0 where the prediction is wrong. At most 1e12.
        head: "linear" if the radii use the distances of pairs of rows of the last layer, else "global".
        head_constant: The constant that the radii divide by, without those distances (or sqrt 2).
        head_node: Name of the last layer, or of the output.
        constants: Proved constant of every node, for the checker to aim at.
        created: When, ISO 8601.
    """

    network: Network
    bound: NetworkBound
    images: npt.NDArray[Any]
    scale: float
    labels: npt.NDArray[np.int64]
    predictions: npt.NDArray[np.int64]
    radii: npt.NDArray[np.float64]
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
    def accuracy(self) -> float:
        """Share of samples whose prediction is the label, in [0, 1]."""
        return float((self.predictions == self.labels).mean())

    def certified_accuracy(self, radius: float) -> float:
        """Share of samples that are classified rightly everywhere within a distance.

        Args:
            radius: l2, in pixel units, >= 0.

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
        return claim(self.proved, self.bound.value, self.predictions == self.labels, self.radii)

    def summary(self) -> str:
        """Write a readable report.

        Returns:
            The claim, the certified accuracies and the audit of the constant, one line each.
        """
        rows = [f"  radius {r:<8.6g} certified accuracy {self.certified_accuracy(r):.4f}" for r in NAMED_RADII]
        head = f"radii from the {self.head} head at {self.head_node!r}, constant before it {self.head_constant:.9g}"
        return "\n".join([self.claim, *rows, head, str(self.bound)])

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
            SAMPLES: pack_arrays({"images": self.images, "labels": self.labels}),
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
            "semantics": "real",
            "norm": "l2",
            "lipschitz": _bound_to_json(self.bound.bound),
            "layers": [_layer_to_json(layer) for layer in self.bound.layers],
            "constants": {name: value.hex() for name, value in self.constants.items()},
            "head": {"kind": self.head, "node": self.head_node, "constant": self.head_constant.hex()},
            "input": {
                "shape": list(self.bound.input_shape),
                "dtype": str(self.images.dtype),
                "scale": self.scale.hex(),
            },
            "samples": len(self.radii),
            "accuracy": self.accuracy,
            "certified_accuracy": {f"{r:.6g}": self.certified_accuracy(float(f"{r:.6g}")) for r in NAMED_RADII},
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
            images=samples["images"],
            scale=float.fromhex(values["input"]["scale"]),
            labels=samples["labels"],
            predictions=np.array(values["predictions"], dtype=np.int64),
            radii=np.array([float.fromhex(r) for r in values["radii"]], dtype=np.float64),
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
    return NetworkBound(_bound_from_json(values["lipschitz"]), rows, tuple(values["input"]["shape"]))


def now() -> str:
    """Tell the time.

    Returns:
        ISO 8601 with the zone, to the second.
    """
    return datetime.now().astimezone().isoformat(timespec="seconds")
