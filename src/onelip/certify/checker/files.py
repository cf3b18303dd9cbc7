"""Read a certificate's files and refuse whatever is not exactly what was written."""

from __future__ import annotations

import hashlib
import json
import math
import stat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from onelip.certify.checker.errors import VerificationError

CERTIFICATE_FORMAT = "onelip-certificate-2"
NETWORK_FORMAT = "onelip-network-1"

WEIGHTS, ARCHITECTURE, SAMPLES = "weights.safetensors", "architecture.json", "samples.safetensors"

EXECUTED = "executed-float64"
SEMANTICS = ("real", EXECUTED)
"""What a claim is about: the function in real arithmetic, or whatever a float64 evaluation of it computes."""

NORMS = ("l2", "linf")

_KEYS: dict[str, type | tuple[type, ...]] = {
    "claim": str,
    "format": str,
    "created": str,
    "software": dict,
    "semantics": str,
    "norm": str,
    "lipschitz": dict,
    "tightened": dict,
    "layers": list,
    "constants": dict,
    "head": dict,
    "growth": str,
    "input": dict,
    "samples": int,
    "accuracy": float,
    "certified_accuracy": dict,
    "labels": list,
    "predictions": list,
    "radii": list,
    "files": dict,
    "hash": str,
}

Arrays = dict[str, npt.NDArray[Any]]


def canonical(values: dict[str, Any]) -> bytes:
    """Write JSON in the one form that a certificate may have.

    Args:
        values: JSON values; the order of keys counts.

    Returns:
        ASCII bytes whose first line holds the first key.
    """
    text = json.dumps(values, indent=1, ensure_ascii=True, allow_nan=False)
    return ("{" + text[3:] + "\n").encode("ascii")


def parse_json(data: bytes, name: str) -> dict[str, Any]:
    """Read a JSON object strictly.

    Args:
        data: The file.
        name: Its name, for errors.

    Returns:
        The object.

    Raises:
        VerificationError: If it is not a JSON object, repeats a key, or has a number that is not finite.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in pairs:
            if key in values:
                raise VerificationError(f"{name} has the key {key!r} twice")
            values[key] = value
        return values

    def finite(text: str) -> float:
        number = float(text)
        if not math.isfinite(number):
            raise VerificationError(f"{name} holds {text}, which is not a finite number")
        return number

    try:
        values = json.loads(data, object_pairs_hook=unique, parse_float=finite, parse_constant=finite)
    except VerificationError:
        raise
    except (ValueError, RecursionError) as error:
        raise VerificationError(f"{name} is not valid JSON: {error}") from error
    if not isinstance(values, dict):
        raise VerificationError(f"{name} holds a JSON {type(values).__name__} instead of an object")
    return values


def read_bytes(path: Path) -> bytes:
    """Read a file.

    Args:
        path: Its path.

    Returns:
        Its contents.

    Raises:
        VerificationError: If it cannot be read, or is no regular file.
    """
    try:
        # A device or a pipe would be read for ever.
        if not stat.S_ISREG(path.stat().st_mode):
            raise VerificationError(f"{path} cannot be read: it is not a regular file")
        return path.read_bytes()
    except OSError as error:
        raise VerificationError(f"{path} cannot be read: {error.strerror}") from error


def read_certificate(path: Path) -> dict[str, Any]:
    """Read `certificate.json` and check its form and its own hash.

    Args:
        path: The file.

    Returns:
        Its values.

    Raises:
        VerificationError: If a byte of it is not as it was written.
    """
    data = read_bytes(path)
    values = parse_json(data, path.name)
    _check_format(values.get("format"), path.name)
    for key, kind in _KEYS.items():
        if key not in values:
            raise VerificationError(f"{path.name} lacks the key {key!r}")
        if not isinstance(values[key], kind):
            raise VerificationError(f"{path.name} has {key!r} of the wrong type {type(values[key]).__name__}")
    unknown = [key for key in values if key not in _KEYS]
    if unknown:
        raise VerificationError(f"{path.name} has the unknown key {unknown[0]!r}")
    for key, allowed in (("semantics", SEMANTICS), ("norm", NORMS)):
        if values[key] not in allowed:
            choice = " and ".join(map(repr, allowed))
            raise VerificationError(f"{path.name} has {key}={values[key]!r}; this checker knows {choice}")
    if canonical(values) != data:
        raise VerificationError(f"{path.name} is not in canonical form: its bytes were changed after it was written")
    body = {key: value for key, value in values.items() if key != "hash"}
    if hashlib.sha256(canonical(body)).hexdigest() != values["hash"]:
        raise VerificationError(f"{path.name} does not match its own hash: it was changed after it was written")
    return values


def _check_format(given: Any, name: str) -> None:
    if given == "onelip-certificate-1":
        raise VerificationError(
            f"{name} has format={given!r} of an earlier version, which does not name its semantics; write it anew"
        )
    if given != CERTIFICATE_FORMAT:
        raise VerificationError(f"{name} has format={given!r}; this checker knows {CERTIFICATE_FORMAT!r}")


def read_files(folder: Path, hashes: dict[str, Any]) -> dict[str, bytes]:
    """Read the files that a certificate names, from its own folder, and compare their hashes.

    Args:
        folder: Where the certificate is.
        hashes: SHA-256 by file name.

    Returns:
        Contents by name.

    Raises:
        VerificationError: If other files are named, one is missing, or a hash differs.
    """
    if set(hashes) != {WEIGHTS, ARCHITECTURE, SAMPLES}:
        raise VerificationError(f"files={sorted(hashes)} must be {ARCHITECTURE}, {SAMPLES} and {WEIGHTS}")
    contents = {}
    for name, expected in hashes.items():
        contents[name] = read_bytes(folder / name)
        if hashlib.sha256(contents[name]).hexdigest() != expected:
            raise VerificationError(f"{name} does not match the hash in the certificate: it was changed or exchanged")
    return contents


def unpack_arrays(data: bytes, name: str) -> Arrays:
    """Read a safetensors file of finite numbers.

    Args:
        data: The file.
        name: Its name, for errors.

    Returns:
        Arrays by name.

    Raises:
        VerificationError: If it is garbled, or an array has another type than float32, float64, uint8 or int64, or
            holds a NaN or an infinity.
    """
    # Here, so that `import onelip` needs torch and numpy alone.
    from safetensors import SafetensorError
    from safetensors.numpy import load as unpack

    try:
        arrays = unpack(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise VerificationError(f"{name} is not a valid safetensors file: {error}") from error
    for key, array in arrays.items():
        if array.dtype not in (np.float32, np.float64, np.uint8, np.int64):
            raise VerificationError(f"{key} in {name} has the type {array.dtype}, which certificates do not use")
        if not np.isfinite(array).all():
            raise VerificationError(f"{key} in {name} holds a NaN or an infinity")
    return dict(arrays)
