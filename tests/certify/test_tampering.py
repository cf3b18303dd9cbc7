"""A certificate that was changed in any way is refused with one sentence, by the checker and by ball arithmetic."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save, save_file
from tests.certify.checker.test_verification import reseal
from tests.certify.networks import predictions, samples, series, small
from torch import nn

from onelip import layers as L
from onelip.certify import certify, verify
from onelip.certify.checker import verification
from onelip.certify.checker.claims import claim
from onelip.certify.checker.files import canonical
from onelip.certify.paranoid import confirm, confirmation

FILES = ("certificate.json", "architecture.json", "weights.safetensors", "samples.safetensors")


def sentence_of(folder, check=verify):
    """The sentence with which a certificate is refused."""
    outcome = check(folder)
    assert not outcome.ok, str(outcome)
    assert outcome.messages
    assert all(m and "\n" not in m and "Traceback" not in m for m in outcome.messages)
    return str(outcome)


def refused(folder):
    """Refused by both programs."""
    assert confirm(folder).ok is False
    return sentence_of(folder)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    x = torch.rand(3, 1, 2, 2)
    folder = tmp_path_factory.mktemp("tiny")
    certify(model, x, predictions(model, x)).save(folder)
    return folder


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    model, x = small(), samples(n=4)
    folder = tmp_path_factory.mktemp("written")
    certify(model, x, predictions(model, x)).save(folder)
    return folder


@pytest.fixture
def folder(written, tmp_path):
    return shutil.copytree(written, tmp_path / "copy")


def write(model, folder, x):
    certify(model, x, predictions(model, x)).save(folder)
    assert verify(folder).ok
    return folder


@pytest.mark.parametrize("name", FILES)
def test_every_byte_counts(tiny, tmp_path, name):
    folder = shutil.copytree(tiny, tmp_path / "copy")
    data = (folder / name).read_bytes()
    rng = np.random.default_rng(0)
    with (folder / name).open("r+b", buffering=0) as file:
        for position, byte in enumerate(data):
            others = {byte ^ (1 << int(rng.integers(8)))}
            if position % 97 == 0:
                others |= {byte ^ (1 << bit) for bit in range(8)} | {0, 10, 32, 255} - {byte}
            for other in others:
                os.pwrite(file.fileno(), bytes([other]), position)
                assert not verify(folder).ok, (name, position, byte, other)
            if position % 97 == 0:
                sentence_of(folder)
                sentence_of(folder, confirm)
            os.pwrite(file.fileno(), bytes([byte]), position)
    assert verify(folder).ok
    assert confirm(folder).ok


@pytest.mark.parametrize("name", FILES)
def test_truncated_lengthened_and_exchanged_files(tiny, tmp_path, name):
    folder = shutil.copytree(tiny, tmp_path / "copy")
    data = (folder / name).read_bytes()
    for changed in (b"", data[:1], data[:8], data[:-1], data[1:], data + b"\n", data + b"\0", data * 2, data[::-1]):
        (folder / name).write_bytes(changed)
        assert refused(folder)
    (folder / name).write_bytes((folder / FILES[FILES.index(name) - 1]).read_bytes())
    assert refused(folder)
    (folder / name).unlink()
    assert "cannot be read" in refused(folder)
    (folder / name).mkdir()
    assert "cannot be read" in refused(folder)


def test_strange_files(tiny, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "copy")
    for name in FILES:
        path, kept = folder / name, folder / "kept"
        path.rename(kept)
        path.symlink_to(path)
        assert "cannot be read" in refused(folder)
        path.unlink()
        path.symlink_to("/dev/zero")
        assert "cannot be read" in refused(folder)
        path.unlink()
        os.mkfifo(path)
        assert "cannot be read" in refused(folder)
        path.unlink()
        # The contents count, not where they lie.
        path.symlink_to(kept)
        assert verify(folder).ok
        path.unlink()
        path.symlink_to(tiny / FILES[FILES.index(name) - 1])
        assert refused(folder)
        path.unlink()
        kept.rename(path)
    (folder / "more.safetensors").write_bytes(b"anything")
    assert verify(folder).ok


@pytest.mark.parametrize(
    "files",
    [
        {"../weights.safetensors": "0"}, {"weights.safetensors": "0"}, {"/etc/passwd": "0"}, {},
        dict.fromkeys(("weights.safetensors", "architecture.json", "samples.safetensors", "more.json"), "0"),
        {"weights.safetensors": 3, "architecture.json": None, "samples.safetensors": [1]},
        {"weights.safetensors\0": "0"},
    ],
)  # fmt: skip
def test_other_file_names(folder, files):
    values = json.loads((folder / "certificate.json").read_text()) | {"files": files}
    seal(folder, values)
    assert refused(folder)


def seal(folder, values):
    values.pop("hash", None)
    values["hash"] = hashlib.sha256(canonical(values)).hexdigest()
    (folder / "certificate.json").write_bytes(canonical(values))


HEADERS = [
    struct.pack("<Q", 2**63) + b"{}",
    struct.pack("<q", -1) + b"{}",
    struct.pack("<Q", 2**40) + b"{}",
    struct.pack("<Q", 2) + b"{}",
    struct.pack("<Q", 2) + b"[]",
    b"\xff" * 64,
    save({"_1.weight": np.ones((4, 2), np.float32)})[:-3],
]


def with_header(header, data=b""):
    text = json.dumps(header).encode() if isinstance(header, dict) else header
    return struct.pack("<Q", len(text)) + text + data


ROW = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
HEADERS += [
    with_header({"a": ROW | {"data_offsets": [0, 2**62]}}, b"\0" * 8),
    with_header({"a": ROW | {"data_offsets": [-8, 0]}}, b"\0" * 8),
    with_header({"a": ROW | {"shape": [2**62, 2**62]}}, b"\0" * 8),
    with_header({"a": ROW | {"shape": [-2]}}, b"\0" * 8),
    with_header({"a": ROW, "b": ROW}, b"\0" * 8),
    with_header({"a": ROW | {"dtype": "BF16", "shape": [4]}}, b"\0" * 8),
    with_header({"a": ROW | {"dtype": "F8_E4M3", "shape": [8]}}, b"\0" * 8),
    with_header({"a": ROW | {"dtype": "BOOL", "shape": [8]}}, b"\0" * 8),
    with_header({"a": ROW | {"dtype": "F16", "shape": [4]}}, b"\0" * 8),
    with_header({"a": ROW | {"dtype": "F99"}}, b"\0" * 8),
    with_header(b"{%s,%s}" % ((b'"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}',) * 2), b"\0" * 8),
    with_header(b"{" * 4000),
    with_header({"a": ROW}, b"\0" * 8),
    with_header({}),
]  # fmt: skip


@pytest.mark.parametrize("name", ["weights.safetensors", "samples.safetensors"])
@pytest.mark.parametrize("data", HEADERS, ids=range(len(HEADERS)))
def test_malformed_tensor_files_with_right_hashes(folder, name, data):
    (folder / name).write_bytes(data)
    reseal(folder)
    assert refused(folder)


def rewrite(folder, edit):
    path = folder / "architecture.json"
    values = json.loads(path.read_text())
    edit(values)
    path.write_text(json.dumps(values))
    reseal(folder)


def node(values, number):
    return values["nodes"][number]


BIG = 10**400
ARCHITECTURES = [
    lambda v: node(v, 0)["tensors"].update(mean="_0.std", std="_0.mean"),
    lambda v: node(v, 6).update(name="head"),
    lambda v: v["nodes"].pop(2),
    lambda v: v["nodes"].pop(),
    lambda v: v.update(nodes=[]),
    lambda v: v.update(nodes=v["nodes"][::-1]),
    lambda v: v.update(nodes={}),
    lambda v: v.update(nodes=["relu"]),
    lambda v: v.update(output=["_6"]),
    lambda v: v.update(input_shape=None),
    lambda v: node(v, 1)["attributes"].update(pads=[BIG] * 4),
    lambda v: node(v, 1)["attributes"].update(pads=[10**12] * 4),
    lambda v: node(v, 1)["attributes"].update(dilation=[10**9] * 2),
    lambda v: node(v, 1)["attributes"].update(stride=[BIG, 1]),
    lambda v: node(v, 1)["attributes"].update(groups=4),
    lambda v: node(v, 1)["attributes"].update(groups=10**30),
    lambda v: node(v, 1)["attributes"].update(padding_mode=["zeros"]),
    lambda v: node(v, 1)["attributes"].update(padding_mode="reflect"),
    lambda v: node(v, 2)["attributes"].update(axis=True),
    lambda v: node(v, 2).update(attributes=None),
    lambda v: node(v, 2).update(attributes=[]),
    lambda v: node(v, 2).update(inputs="_1"),
    lambda v: node(v, 2).update(inputs=[["_1"]]),
    lambda v: node(v, 2).update(name=3),
    lambda v: node(v, 2).update(op=["maxmin"]),
    lambda v: node(v, 2).update(op="concat_residual"),
    lambda v: node(v, 3)["branch"].update(input_shape=[9]),
    lambda v: node(v, 3)["branch"].update(output="input"),
    lambda v: node(v, 3)["branch"]["nodes"].append(node(v, 3)["branch"]["nodes"][0]),
    lambda v: node(v, 4)["attributes"].update(axes=[BIG, 1]),
    lambda v: node(v, 4)["attributes"].update(axes="both"),
    lambda v: node(v, 4)["attributes"].update(axes=[1, 1]),
    lambda v: node(v, 4)["attributes"].update(axes=[]),
    lambda v: node(v, 5)["attributes"].update(shape=[-1]),
    lambda v: node(v, 5)["attributes"].update(shape=[6, 6, 1, 1]),
    lambda v: node(v, 6)["tensors"].update(weight="_6.bias", bias="_6.weight"),
    lambda v: node(v, 6)["tensors"].pop("bias"),
    lambda v: node(v, 6).update(tensors=[]),
    lambda v: node(v, 6).pop("tensors"),
]


@pytest.mark.parametrize("number", range(len(ARCHITECTURES)))
def test_other_architectures_with_right_hashes(folder, number):
    rewrite(folder, ARCHITECTURES[number])
    assert refused(folder)


def test_deeply_nested_branches(folder, monkeypatch):
    def edit(values):
        branch = node(values, 3)["branch"]
        for _ in range(60):
            inner = {"name": "a", "op": "l2_norm_residual", "inputs": ["input"], "attributes": {}, "tensors": {}}
            branch = {"input_shape": [2, 6, 6], "output": "a", "nodes": [inner | {"branch": branch}]}
        node(values, 3)["branch"] = branch

    rewrite(folder, edit)
    values = json.loads((folder / "certificate.json").read_text())
    constant = values["constants"].pop("_3/_0")
    values["constants"] |= {"_3" + "/a" * n: "0x1p4" for n in range(1, 61)} | {"_3" + "/a" * 60 + "/_0": constant}
    seal(folder, values)
    assert refused(folder)
    monkeypatch.setattr(verification, "read_graph", recursing)
    monkeypatch.setattr(confirmation, "read_graph", recursing)
    assert "nested too deeply" in refused(folder)


def recursing(*_):
    raise RecursionError


@pytest.mark.parametrize(
    "text", ['{"format": 1, "format": 2}', '{"a": NaN}', '{"a": 1e400}', '{"a": -Infinity}', "[]", "{", ""]
)
@pytest.mark.parametrize("name", ["architecture.json", "certificate.json"])
def test_json_that_is_not_strict(folder, name, text):
    (folder / name).write_text(text)
    if name == "architecture.json":
        reseal(folder)
    assert refused(folder)


def ulp_up(text):
    return np.nextafter(float.fromhex(text), np.inf).hex()


def test_radii_above_what_can_be_proved_by_one_unit_are_refused(tmp_path):
    # Without the reserve that certificates keep, the checker's own radius is the largest that it lets pass.
    x = torch.rand(3, 1, 2, 2)
    folder = write(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), tmp_path, x)
    path = folder / "certificate.json"
    for index in range(3):
        values = json.loads(path.read_text())
        low, high = float.fromhex(values["radii"][index]), float.fromhex(values["radii"][index]) * 1.001
        while np.nextafter(low, np.inf) < high:
            middle = low + (high - low) / 2
            low, high = (middle, high) if accepted(folder, index, middle) else (low, middle)
        assert accepted(folder, index, low)
        assert not accepted(folder, index, high)
        assert high <= float.fromhex(values["radii"][index]) * (1 + 3e-6)
        set_radius(folder, index, float.fromhex(values["radii"][index]))


def set_radius(folder, index, radius):
    def edit(values):
        row = values["class_radii"][index]
        row[row.argmin()] = radius

    forge(folder, samples=edit)


def accepted(folder, index, radius):
    set_radius(folder, index, radius)
    return verify(folder).ok


def test_smaller_claims_are_true_as_well(folder):
    forge(folder, samples=scaled_radii(0.99))
    assert verify(folder).ok
    assert confirm(folder).ok


@pytest.mark.parametrize(
    "edit",
    [
        lambda w: w.update({"_6.weight": w["_6.weight"][::-1].copy()}),
        lambda w: w.update({"_6.weight": w["_6.weight"][:, ::-1].copy()}),
        lambda w: w.update({"_1.weight": w["_1.weight"].swapaxes(2, 3).copy()}),
        lambda w: w.update({"_1.weight": -w["_1.weight"]}),
        lambda w: w.update({"_6.bias": w["_6.bias"] + np.float32(1e6) * np.arange(4, dtype=np.float32)}),
        lambda w: w.update({"_6.weight": w["_6.weight"].T.copy()}),
        lambda w: w.update({"_1.weight": (w["_1.weight"] * 1e-30).astype(np.float32)}),
        lambda w: w.update({"_1.weight": w["_1.weight"].astype(np.float64) * 1e300}),
        lambda w: w.update({"_6.weight": np.full((4, 36), 2**53 + 1, np.int64)}),
        lambda w: w.update({"_0.std": np.array([0.0, 0.25], np.float32)}),
        lambda w: w.update({"_0.std": np.array([5e-324, 0.25])}),
        lambda w: w.update({"_6.weight": np.zeros((4, 0), np.float32)}),
        lambda w: w.update({"_6.weight": np.zeros((0, 36), np.float32)}),
        lambda w: w.update({"_6.weight": w["_6.weight"][0]}),
    ],
    ids=range(14),
)
def test_other_weights_with_right_hashes(folder, edit):
    reseal(folder, weights=edit)
    assert refused(folder)


def test_integers_that_are_no_float64_are_refused(folder):
    # Rounded on reading, they would not be the numbers that are stored.
    weights = load_file(folder / "weights.safetensors")
    weights["_6.bias"] = np.array([2**53 + 1, 0, 0, 0], np.int64)
    save_file(weights, folder / "weights.safetensors")
    reseal(folder)
    assert "2^53 or more" in refused(folder)


def test_weights_of_another_architecture(folder, tiny):
    shutil.copy(tiny / "weights.safetensors", folder / "weights.safetensors")
    reseal(folder)
    assert refused(folder)
    shutil.copy(tiny / "architecture.json", folder / "architecture.json")
    reseal(folder)
    assert refused(folder)


def test_other_labels(folder):
    def edit(values):
        values["labels"] = (values["labels"] + 1) % 4

    def claims(values):
        values["labels"] = [(n + 1) % 4 for n in values["labels"]]

    reseal(folder, claims, samples=edit)
    assert refused(folder)
    reseal(folder, samples=lambda v: v.update(class_radii=np.roll(v["class_radii"], 1, 1)))
    forge(folder, lambda v: v.update(predictions=v["labels"]))
    assert "sample 0" in refused(folder)


@pytest.mark.parametrize("scale", ["0x1p1020", "0x1p-1020", "0x1p-140", "inf", "nan", "-0x1p0", "1e999"])
def test_strange_scales(folder, scale):
    reseal(folder, lambda v: v["input"].update(scale=scale))
    assert refused(folder)


def test_a_negative_constant_does_not_cancel_another(tmp_path):
    branch = nn.Linear(4, 4, bias=False)
    with torch.no_grad():
        branch.weight.copy_(0.9 * torch.eye(4))
    model = nn.Sequential(nn.Flatten(), L.Sum(nn.Identity(), branch), nn.Linear(4, 3))
    folder = write(model, tmp_path, torch.rand(3, 1, 2, 2))

    def lower(values):
        name = next(n for n in values["constants"] if n.endswith("_1"))
        constants = {n: float.fromhex(c) for n, c in values["constants"].items()}
        values["constants"][name] = (-0.9 - 1e-12).hex()
        factor = 0.1 / 1.9 * 1.01
        values["head"]["constant"] = (float.fromhex(values["head"]["constant"]) * factor).hex()
        values["lipschitz"]["value"] = (float.fromhex(values["lipschitz"]["value"]) * factor).hex()
        values["lipschitz"]["decimal"] = float.fromhex(values["lipschitz"]["value"])
        assert len(constants) >= 3

    forge(folder, lower, samples=scaled_radii(1 / (0.1 / 1.9 * 1.01) / 1.001))
    assert "negative" in refused(folder)


@pytest.mark.parametrize("name", ["add", "_2_branches_1", "_1", "_3"])
def test_every_lowered_constant_is_seen(tmp_path, name):
    model = nn.Sequential(
        nn.Flatten(), L.Normalize([0.5] * 4, [0.25] * 4), L.Sum(nn.Identity(), nn.Linear(4, 4)), nn.Linear(4, 3)
    )
    folder = write(model, tmp_path, torch.rand(3, 1, 2, 2))
    reseal(folder, lambda v: v["constants"].update({name: (float.fromhex(v["constants"][name]) * 0.9999).hex()}))
    assert "could not be proved" in refused(folder)


def finish(folder, values):
    """Make everything in `certificate.json` follow from forged radii, constants and samples."""
    stored = load_file(folder / "samples.safetensors")
    pixels = stored["images"].astype(np.float32) / np.float32(float.fromhex(values["input"]["scale"]))
    radii = stored["class_radii"].min(1)
    values["radii"] = [r.hex() for r in radii.tolist()]
    right = np.array(values["labels"]) == np.array(values["predictions"])
    values["certified_accuracy"] = {k: float((radii > float(k)).mean()) for k in values["certified_accuracy"]}
    values["accuracy"] = float(right.mean())
    limits, about = (float(pixels.min()), float(pixels.max())), {key: values[key] for key in ("norm", "semantics")}
    values["claim"] = claim(True, float.fromhex(values["lipschitz"]["value"]), right, radii, limits, **about)


def forge(folder, change=lambda values: None, **arrays):
    """Change claims and arrays and make all the rest follow."""
    reseal(folder, **arrays)
    reseal(folder, lambda values: (change(values), finish(folder, values)))


def scaled_radii(factor):
    def edit(values):
        finite = values["class_radii"] < 1e12
        values["class_radii"][finite] *= factor

    return edit


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
def test_a_series_is_not_skew_under_other_padding(tmp_path, mode):
    folder = write(nn.Sequential(series(), nn.Flatten(), nn.Linear(12 * 9, 3)), tmp_path, torch.rand(3, 12, 3, 3))

    def edit(values):
        (step,) = [n for n in values["nodes"] if n["op"] == "skew_series2d"]
        step["attributes"]["padding_mode"] = mode

    rewrite(folder, edit)
    forge(folder, samples=scaled_radii(0.0))
    assert "padding" in refused(folder)


def test_a_series_with_a_negative_norm(tmp_path):
    folder = write(nn.Sequential(series(), nn.Flatten(), nn.Linear(12 * 9, 3)), tmp_path, torch.rand(3, 12, 3, 3))

    def edit(values):
        (step,) = [n for n in values["nodes"] if n["op"] == "skew_series2d"]
        step["attributes"]["norm"] = -step["attributes"]["norm"]

    rewrite(folder, edit)
    forge(folder, samples=scaled_radii(0.0))
    assert "negative" in refused(folder) or "could not be proved" in refused(folder)


def test_a_slice_of_reshaped_logits_is_no_slice_of_classes(tmp_path):
    model = nn.Sequential(nn.Linear(6, 10), nn.Unflatten(1, (2, 5)), L.ChannelKeep(1), nn.Flatten())
    # Rows 0 to 4 of the head are kept, not row 0; its distance to itself would give infinite radii.
    folder = write(model, tmp_path, torch.rand(4, 6))
    values = json.loads((folder / "certificate.json").read_text())
    assert max(map(float.fromhex, values["radii"])) < 10
    assert values["head"]["kind"] == "global"


def test_a_branch_is_measured_for_the_images_that_it_gets(folder):
    # A constant for a smaller image may be smaller.
    rewrite(folder, lambda v: node(v, 3)["branch"].update(input_shape=[2, 5, 5]))
    assert "input_shape=(2, 5, 5)" in refused(folder)


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    """A certificate whose radii rest on a run of dense steps as a whole, in either semantics."""
    torch.manual_seed(0)
    layers = nn.Linear(9, 12), nn.ReLU(), nn.Linear(12, 8), L.MaxMin(), nn.Linear(8, 3)
    model, x = nn.Sequential(nn.Flatten(), *layers).eval(), torch.rand(3, 1, 3, 3)
    folders = {}
    for semantics in ("real", "executed-float64"):
        folders[semantics] = tmp_path_factory.mktemp("dense")
        certify(model, x, predictions(model, x), semantics=semantics).save(folders[semantics])
    assert json.loads((folders["real"] / "certificate.json").read_text())["tightened"]["constant"] is not None
    assert all(verify(folder).ok for folder in folders.values())
    assert confirm(folders["real"]).ok
    return folders


@pytest.fixture
def run(dense, tmp_path):
    return shutil.copytree(dense["real"], tmp_path / "run")


def test_each_class_radius_is_refused_one_unit_above_what_can_be_proved(run):
    stored = load_file(run / "samples.safetensors")["class_radii"]
    row = stored[1]
    place = 1, int(np.where(row < 1e12, row, 0).argmax())
    assert stored[place] > row.min()

    def given(radius):
        forge(run, samples=lambda values: values["class_radii"].__setitem__(place, radius))
        return verify(run)

    low, high = float(stored[place]), float(stored[place]) * 1.001
    while np.nextafter(low, np.inf) < high:
        middle = low + (high - low) / 2
        low, high = (middle, high) if given(middle).ok else (low, middle)
    assert given(low).ok
    assert "against class" in str(given(np.nextafter(low, np.inf)))
    assert low <= stored[place] * (1 + 3e-6)
    given(stored[place] * (1 + 1e-5))
    assert "could not be proved" in refused(run)


def test_radii_are_the_least_of_the_classes(run):
    reseal(run, lambda v: v["radii"].__setitem__(0, ulp_up(v["radii"][0])))
    assert "not the least of its class_radii" in sentence_of(run)


@pytest.mark.parametrize("place", [(0, 1), (2, 0), (1, 1)])
def test_lowered_pair_constants_are_refused(run, place):
    # That of a class with itself is 0; negative ones are no constants.
    forge(run, samples=lambda v: v["pair_constants"].__setitem__(place, v["pair_constants"][place] * (1 - 1e-5) - 1e-9))
    assert "the pair constant" in refused(run)


def test_other_shapes_of_the_new_arrays_are_refused(run):
    for edit in (
        lambda v: v.update(
            pair_constants=v["pair_constants"][:2, :2].copy(), class_radii=v["class_radii"][:, :2].copy()
        ),
        lambda v: v.update(pair_constants=v["pair_constants"].astype(np.float32)),
        lambda v: v.update(class_radii=v["class_radii"].T.copy()),
        lambda v: v.update(class_radii=v["class_radii"] * -1),
        lambda v: v.pop("pair_constants"),
        lambda v: v.update(more=np.zeros(3)),
    ):
        kept = (run / "samples.safetensors").read_bytes()
        reseal(run, samples=edit)
        sentence_of(run)
        (run / "samples.safetensors").write_bytes(kept)


def of_run(edit):
    return lambda values: edit(values["tightened"]["runs"][0])


def halved(row):
    row["radii"] = [[(float.fromhex(h) * 0.5).hex() for h in radii] for radii in row["radii"]]


def doubled(row):
    row["radii"] = [[(float.fromhex(h) * 2).hex() for h in radii] for radii in row["radii"]]


RUNS = {
    "lower constant": lambda v: v["tightened"]["constant"].update(
        value=(c := float.fromhex(v["tightened"]["constant"]["value"]) * (1 - 1e-5)).hex(), decimal=c
    ),
    "negative constant": lambda v: v["tightened"]["constant"].update(value="-0x1p0", decimal=-1.0),
    "halved numbers": of_run(halved),
    "doubled numbers": of_run(doubled),
    "infinite numbers": of_run(lambda r: r["radii"].__setitem__(0, ["inf"] * 12)),
    "no numbers": of_run(lambda r: r["radii"].clear()),
    "numbers of another size": of_run(lambda r: r["radii"][0].pop()),
    "not a chain": of_run(lambda r: r["nodes"].pop(1)),
    "an activation twice": of_run(lambda r: (r["nodes"].insert(2, r["nodes"][1]), r["radii"].insert(1, r["radii"][0]))),
    "an activation first": of_run(lambda r: r["nodes"].pop(0)),
    "an unknown node": of_run(lambda r: r["nodes"].append("more")),
    "reversed": of_run(lambda r: r["nodes"].reverse()),
    "no nodes": of_run(lambda r: r["nodes"].clear()),
    "the first layer alone": of_run(lambda r: (r.update(nodes=r["nodes"][:1]), r["radii"].clear())),
    "no run": lambda v: v["tightened"].update(runs=[]),
    "no list": lambda v: v["tightened"].update(runs={"nodes": []}),
    "sums of what is not sorted": of_run(lambda r: r.update(mixed="yes")),
}


@pytest.mark.parametrize("name", RUNS)
def test_other_runs_are_refused(run, name):
    reseal(run, RUNS[name])
    sentence_of(run)
    if name not in ("negative constant", "no run", "no list", "sums of what is not sorted"):
        assert not confirm(run).ok


def test_runs_do_not_reach_into_branches(tmp_path):
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
    model = nn.Sequential(nn.Flatten(), L.L2NormResidual(inner), nn.Linear(8, 3)).eval()
    folder = write(model, tmp_path, torch.rand(3, 1, 2, 4))
    values = json.loads((folder / "certificate.json").read_text())
    (name, *_) = [n for n in values["constants"] if "/" in n]
    rows = [
        {"nodes": [name], "mixed": False, "radii": []},
        {"nodes": [name.split("/")[1]], "mixed": False, "radii": []},
    ]
    for row in rows:
        reseal(folder, lambda v, row=row: v["tightened"].update(runs=[row]))
        assert refused(folder)


def test_other_semantics_and_norms_are_refused(dense, tmp_path):
    run = shutil.copytree(dense["real"], tmp_path / "run")
    for growth in ("0x0.0p+0", "-0x1p0", "0x1p-60"):
        forge(run, lambda v, growth=growth: v.update(semantics="executed-float64", growth=growth))
        assert "growth" in refused(run)
    forge(run, lambda v: v.update(semantics="real"))
    assert "growth" in sentence_of(run)
    forge(run, lambda v: v.update(growth="0x0.0p+0"))
    assert verify(run).ok
    forge(run, lambda v: v.update(norm="linf"))
    assert refused(run)
    forge(run, lambda v: v.update(tightened={"constant": None, "runs": []}))
    assert "could not be proved" in refused(run)
    executed = shutil.copytree(dense["executed-float64"], tmp_path / "executed")
    forge(executed, lambda v: v.update(growth=(float.fromhex(v["growth"]) / 2).hex()))
    assert "growth" in sentence_of(executed)
    forge(executed, lambda v: v.update(semantics="real"))
    assert "growth" in sentence_of(executed)
    # A claim about more is a claim about less.
    forge(executed, lambda v: v.update(growth="0x0.0p+0"))
    assert verify(executed).ok
