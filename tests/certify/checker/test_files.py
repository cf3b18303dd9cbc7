import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.files import canonical, parse_json, read_bytes, read_files, unpack_arrays

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=30)
@given(st.dictionaries(st.text(), JSON, min_size=1, max_size=4))
def test_canonical_form_round_trips(values):
    data = canonical(values)
    assert parse_json(data, "x") == values
    assert canonical(json.loads(data)) == data


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"a": 1, "a": 2}', "the key 'a' twice"),
        (b'{"a": {"b": 1, "b": 1}}', "the key 'b' twice"),
        (b'{"a": NaN}', "not a finite number"),
        (b'{"a": -Infinity}', "not a finite number"),
        (b'{"a": 1e999}', "not a finite number"),
        (b"[1]", "a JSON list instead"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe{", "not valid JSON"),
        (b"", "not valid JSON"),
        (b'{"a": ' + b"[" * 100_000, "not valid JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not valid JSON"),
    ],
    ids=range(11),
)
def test_strange_json(data, words):
    with pytest.raises(VerificationError, match=words):
        parse_json(data, "file")


def test_files_must_be_the_three(tmp_path):
    with pytest.raises(VerificationError, match="files="):
        read_files(tmp_path, {"weights.safetensors": "0"})
    with pytest.raises(VerificationError, match="cannot be read"):
        read_bytes(tmp_path)


def test_arrays():
    good = {"a": np.ones(2, np.float32), "b": np.array([1], np.int64)}
    assert set(unpack_arrays(save(good), "x")) == {"a", "b"}
    for bad, words in ((np.array([np.nan]), "NaN"), (np.zeros(1, np.int8), "int8")):
        with pytest.raises(VerificationError, match=words):
            unpack_arrays(save({"a": bad}), "x")
    for data in (b"", b"\x00" * 20, save(good)[:-1], b"\xff" * 100):
        with pytest.raises(VerificationError, match="not a valid safetensors file"):
            unpack_arrays(data, "x")
