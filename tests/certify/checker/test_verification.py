"""A certificate holds as it was written, and after no change at all to any of its bytes or claims."""

import hashlib
import json
import math
import shutil

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from tests.certify.networks import around, predictions, rich, samples, small
from torch import nn

from onelip.certify import certify, verify
from onelip.certify.checker.files import canonical
from onelip.certify.checker.verification import CONSTANT_TOLERANCE
from onelip.certify.forward import evaluate

FILES = ("certificate.json", "architecture.json", "weights.safetensors", "samples.safetensors")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    model, x = small(), samples(n=4)
    labels = predictions(model, x)
    labels[3] = (labels[3] + 1) % 4
    folder = tmp_path_factory.mktemp("written")
    certify(model, x, labels).save(folder)
    return folder


@pytest.fixture
def folder(written, tmp_path):
    return shutil.copytree(written, tmp_path / "copy")


def refused(folder):
    """The one sentence with which a certificate is refused."""
    outcome = verify(folder)
    assert not outcome.ok
    assert not outcome.proved
    (sentence,) = outcome.messages
    assert "\n" not in sentence
    return sentence


def reseal(folder, change=None, **arrays):
    """Change claims, or arrays of a file, and make every hash right again, as a forger would."""
    for name, edit in arrays.items():
        path = folder / f"{name}.safetensors"
        values = load_file(path)
        edit(values)
        save_file(values, path)
    path = folder / "certificate.json"
    values = json.loads(path.read_text())
    if change is not None:
        change(values)
    values.pop("hash")
    values["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in values["files"]}
    values["hash"] = hashlib.sha256(canonical(values)).hexdigest()
    path.write_bytes(canonical(values))


def rewrite_architecture(folder, edit):
    path = folder / "architecture.json"
    values = json.loads(path.read_text())
    edit(values)
    path.write_text(json.dumps(values))
    reseal(folder)


def test_an_honest_certificate_holds(folder):
    outcome = verify(folder / "certificate.json")
    assert outcome.ok
    assert outcome.proved
    assert outcome.n_samples == 4
    assert outcome.lipschitz_proved <= outcome.lipschitz_claimed * (1 + CONSTANT_TOLERANCE)
    assert 0 < outcome.least_slack < 3e-6
    assert "the certificate holds: 4 radii" in str(outcome)
    reseal(folder)
    assert verify(folder).ok


@pytest.mark.parametrize("build", [rich, around])
def test_every_operation_is_verified(build, tmp_path):
    model, x = build(), samples(n=5)
    assert verify(certify(model, x, predictions(model, x)).save(tmp_path)).ok


def test_bytes_images_and_progress(tmp_path):
    stored = torch.randint(0, 17, (3, 2, 6, 6), dtype=torch.uint8)
    path = certify(small(), stored, torch.tensor([0, 1, 2]), scale=16).save(tmp_path)
    calls = []
    assert verify(path, progress=lambda done, total: calls.append((done, total))).ok
    assert calls == [(3, 3)]


@pytest.mark.parametrize("name", FILES)
def test_any_changed_byte_is_seen(folder, name):
    path = folder / name
    data = path.read_bytes()
    positions = np.linspace(0, len(data) - 1, 60).astype(int)
    for position in positions:
        for flip in (0x01, 0x20):
            changed = bytearray(data)
            changed[position] ^= flip
            path.write_bytes(bytes(changed))
            assert refused(folder)
    path.write_bytes(data)
    assert verify(folder).ok


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("keep", [0, 1, 7, 0.5, 0.999])
def test_truncated_files_are_refused(folder, name, keep):
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: keep if isinstance(keep, int) else int(keep * len(data))])
    assert refused(folder)


@pytest.mark.parametrize("name", FILES)
def test_longer_and_missing_files_are_refused(folder, name):
    path = folder / name
    data = path.read_bytes()
    for more in (b"\n", b" ", b"\x00"):
        path.write_bytes(data + more)
        assert refused(folder)
    path.unlink()
    assert "cannot be read" in refused(folder)


def claim(values, key, change):
    values[key] = change(values[key])


def larger(radii, factor=1 + 1e-5):
    return [(float.fromhex(r) * factor).hex() for r in radii]


FORGERIES = {
    "inflated radii": (lambda v: claim(v, "radii", larger), "of sample 0 is not the least of its class_radii"),
    "radius of a wrong sample": (
        lambda v: claim(v, "radii", lambda r: [*r[:3], (0.1).hex()]), "of sample 3 is not the least",
    ),
    "infinite radius": (lambda v: claim(v, "radii", lambda r: ["inf", *r[1:]]), "radii must be numbers"),
    "nan radius": (lambda v: claim(v, "radii", lambda r: ["nan", *r[1:]]), "not a number"),
    "negative radius": (lambda v: claim(v, "radii", lambda r: ["-0x1p0", *r[1:]]), "radii must be numbers"),
    "missing radius": (lambda v: claim(v, "radii", lambda r: r[1:]), "differ in the number of samples"),
    "garbled radius": (lambda v: claim(v, "radii", lambda r: [7, *r[1:]]), "not a hexadecimal float"),
    "smaller constant": (
        lambda v: v["lipschitz"].update(value=(0.5).hex(), decimal=0.5), "must read|could not be proved",
    ),
    "smaller layer constant": (
        lambda v: v["constants"].update(dict.fromkeys(v["constants"], (0.25).hex())),
        "claimed constant 0.25 of normalize",
    ),
    "missing layer constant": (lambda v: v["constants"].popitem(), "has no constant for"),
    "decimal": (lambda v: v["lipschitz"].update(decimal=1.0), "decimal form"),
    "accuracy": (lambda v: v.update(accuracy=1.0), "the accuracy is 1.0 but follows as 0.75"),
    "certified accuracy": (lambda v: v["certified_accuracy"].update({"0.5": 1.0}), "certified accuracy at 0.5"),
    "certified radius": (lambda v: v["certified_accuracy"].update({"far": 1.0}), "which is no radius"),
    "labels": (lambda v: claim(v, "labels", lambda y: [(n + 1) % 4 for n in y]), "labels in certificate.json"),
    "predictions": (
        lambda v: v.update(predictions=[*v["predictions"][:3], v["labels"][3]]), "must read|prediction of sample 3",
    ),
    "claim": (lambda v: v.update(claim=v["claim"].replace("0.7500", "0.9999")), "must read 'PROVED"),
    "hidden estimate": (lambda v: v["lipschitz"].update(proved=False), "must read 'ESTIMATE, NOT PROVED"),
    "proved": (lambda v: v["lipschitz"].update(proved="yes"), "whether its constant is proved"),
    "head": (lambda v: v["head"].update(kind="global"), "head='global'"),
    "head constant": (lambda v: v["head"].update(constant=(0.1).hex()), "constant before the head"),
    "scale": (lambda v: v["input"].update(scale=(0.01).hex()), "samples with pixels from 0.125796 to 99.4701"),
    "no scale": (lambda v: v["input"].update(scale=(0.0).hex()), "must be positive"),
    "dtype": (lambda v: v["input"].update(dtype="uint8"), "does not fit the samples"),
    "samples": (lambda v: v.update(samples=5), "number of samples"),
    "format": (lambda v: v.update(format="onelip-certificate-0"), "this checker knows 'onelip-certificate-2'"),
    "old format": (lambda v: v.update(format="onelip-certificate-1"), "of an earlier version, .*; write it anew"),
    "semantics": (lambda v: v.update(semantics="float"), "knows 'real' and 'executed-float64'"),
    "other semantics": (lambda v: v.update(semantics="executed-float64"), "must read .*what any float64 evaluation"),
    "norm": (lambda v: v.update(norm="l1"), "knows 'l2' and 'linf'"),
    "other norm": (lambda v: v.update(norm="linf"), "must read 'PROVED: linf"),
    "growth": (lambda v: v.update(growth=(0.5).hex()), "growth of rounding errors in real arithmetic is 0.5"),
    "no key": (lambda v: v.pop("radii"), "lacks the key 'radii'"),
    "new key": (lambda v: v.update(note="trust me"), "unknown key 'note'"),
    "wrong type": (lambda v: v.update(radii={}), "wrong type dict"),
    "no value": (lambda v: v["lipschitz"].pop("value"), "malformed"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
def test_forged_claims_with_right_hashes_are_refused(folder, name):
    change, words = FORGERIES[name]
    reseal(folder, change)
    with pytest.raises(ValueError, match=words):
        raise ValueError(refused(folder))


def in_samples(name, edit):
    return {"samples": lambda values: values.update({name: edit(values[name].copy())})}


def put(index, value):
    def edit(array):
        array[index] = value
        return array

    return edit


@pytest.mark.parametrize(
    ("name", "edit", "words"),
    [
        ("class_radii", put((0, 2), 5.0), "sample 0 against class 2 could not be proved|not the least"),
        ("class_radii", put((0, slice(None)), 1.0), "of the labels themselves"),
        ("class_radii", put((0, 1), -1.0), "radii must be numbers"),
        ("class_radii", put((0, 1), 2e12), "radii must be numbers"),
        ("class_radii", lambda a: a[:, :3].copy(), r"must be \(4, 4\) float64"),
        ("class_radii", lambda a: a.astype(np.float32), r"must be \(4, 4\) float64"),
        ("pair_constants", lambda a: a * 0.999, "pair constant .* of classes 0 and 1 could not be proved"),
        ("pair_constants", lambda a: a[:3].copy(), "square of float64"),
        ("pair_constants", lambda a: a[:3, :3].copy(), "class_radii of float64"),
    ],
)
def test_forged_classes_are_refused(folder, name, edit, words):
    reseal(folder, **in_samples(name, edit))
    with pytest.raises(ValueError, match=words):
        raise ValueError(refused(folder))


def test_radii_inflated_everywhere_are_refused(folder):
    def grow(radii):
        return np.where(radii < 1e12, radii * (1 + 1e-5), radii)

    def change(values):
        values["radii"] = [float(r).hex() for r in load_file(folder / "samples.safetensors")["class_radii"].min(1)]

    reseal(folder, change, **in_samples("class_radii", grow))
    with pytest.raises(ValueError, match=r"radius .* of sample 0 against class \d could not be proved"):
        raise ValueError(refused(folder))


def test_a_real_certificate_cannot_pose_as_an_executed_one(tmp_path):
    x, y = torch.tensor([[0.75, 0.5]]), torch.tensor([0])
    certificate = certify(huge_bias(), x, y)
    error = float(evaluate(certificate.network, x.double())[1])
    # More than rounding in the whole ball leaves, less than rounding at its centre alone does.
    radius = (0.25 - 3 * error) / math.sqrt(2)
    assert radius > 0
    folder = certificate.save(tmp_path).parent

    def change(values):
        values["radii"] = [radius.hex()]

    reseal(folder, change, **in_samples("class_radii", put((0, 1), radius)))
    assert verify(folder).ok
    reseal(folder, lambda values: values.update(semantics="executed-float64", growth=(1.0).hex()))
    sentence = refused(folder)
    reseal(folder, lambda values: values.update(claim=sentence.split("must read ", 1)[1].strip("'")))
    assert "radius" in refused(folder)
    assert "could not be proved" in refused(folder)


def huge_bias():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(2))
        model[0].bias.fill_(2.0**43)
        model[1].weight.copy_(torch.eye(2))
        model[1].bias.fill_(-(2.0**43))
    return model


def scaled(key_part, factor):
    def edit(values):
        for key in values:
            if key_part in key:
                values[key] = (values[key] * factor).astype(values[key].dtype)

    return edit


@pytest.mark.parametrize(
    ("part", "factor"),
    [("_1.weight", 2.0), ("_1.weight", 0.5), ("_6.weight", 2.0), ("_0.std", 2.0), ("_0.std", 0.5), ("/", 2.0)],
)
def test_scaled_weights_with_right_hashes_are_refused(folder, part, factor):
    reseal(folder, weights=scaled(part, factor))
    assert "proved" in refused(folder) or "prediction" in refused(folder)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("file", ["weights", "samples"])
def test_numbers_that_are_not_finite_are_refused(folder, file, value):
    def edit(values):
        key = next(k for k in values if values[k].dtype == np.float32)
        values[key].reshape(-1)[0] = value

    reseal(folder, **{file: edit})
    assert "holds a NaN or an infinity" in refused(folder)


def test_other_images_are_refused(folder):
    reseal(folder, samples=lambda values: values.update(images=values["images"][::-1].copy()))
    assert "sample" in refused(folder)


def test_missing_extra_and_misshapen_arrays_are_refused(folder, written):
    def fresh(**edits):
        shutil.rmtree(folder)
        shutil.copytree(written, folder)
        reseal(folder, **edits)
        return refused(folder)

    assert "lack '_1.bias'" in fresh(weights=lambda v: v.pop("_1.bias"))
    assert "which the architecture lacks" in fresh(weights=lambda v: v.update(extra=np.zeros(1, np.float32)))
    assert "bias" in fresh(weights=lambda v: v.update({"_1.bias": np.zeros(1, np.float32)}))
    assert "does not fit" in fresh(weights=lambda v: v.update({"_6.weight": 0.1 * np.ones((4, 3), np.float32)}))
    assert "float16" in fresh(weights=lambda v: v.update({"_6.weight": np.ones((4, 36), np.float16)}))
    assert "instead of" in fresh(samples=lambda v: v.pop("labels"))
    assert "do not fit the input" in fresh(samples=lambda v: v.update(images=np.zeros((4, 2, 5, 6), np.float32)))
    assert "labels of int64" in fresh(samples=lambda v: v.update(labels=np.zeros(3, np.int64)))


NODE = {"name": "n", "op": "relu", "inputs": ["input"], "attributes": {}, "tensors": {}}


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda v: v["nodes"][2].update(op="amplify"), "op='amplify' of '_2' is not known"),
        (lambda v: v["nodes"][2].update(op="relu"), "proved|prediction"),
        (lambda v: v["nodes"][2].update(inputs=["_6"]), "must be earlier nodes"),
        (lambda v: v["nodes"][2].update(inputs=[]), "must be earlier nodes"),
        (lambda v: v["nodes"][2].update(inputs=["_1", "_1"]), "takes one input"),
        (lambda v: v["nodes"][2].update(name="_1"), "two nodes named '_1'"),
        (lambda v: v["nodes"].append(NODE), "no constant for 'n'"),
        (lambda v: v.update(output="elsewhere"), "not a node"),
        (lambda v: v.update(output="_1"), "proved|not to at least two logits|head"),
        (lambda v: v.update(input_shape=[2, 6]), "do not fit the input"),
        (lambda v: v.update(input_shape=[2, 6, -6]), "input_shape is -6"),
        (lambda v: v.update(format="other"), "format='other'"),
        (lambda v: v.pop("nodes"), "malformed"),
        (
            lambda v: v["nodes"][1]["attributes"].update(stride=[2, 2]),
            "conv2d|reshape|concat|matrix|input_shape",
        ),
        (lambda v: v["nodes"][1]["attributes"].update(stride=[0, 1]), "stride of '_1' is 0"),
        (lambda v: v["nodes"][1]["attributes"].update(groups=1.0), "groups of '_1' is 1.0"),
        (lambda v: v["nodes"][1]["attributes"].update(pads=[1, 1]), "list of 4 integers"),
        (lambda v: v["nodes"][1]["attributes"].update(padding_mode="mirror"), "malformed|does not fit"),
        (lambda v: v["nodes"][1]["attributes"].pop("dilation"), "malformed: 'dilation'"),
        (lambda v: v["nodes"][2]["attributes"].update(axis=-1), "axis of '_2' is -1"),
        (lambda v: v["nodes"][2]["attributes"].update(axis=5), "axis 6"),
        (lambda v: v["nodes"][3].pop("branch"), "lack|which the architecture lacks"),
        (lambda v: v["nodes"][4]["attributes"].update(axes=[1, 1]), "axes \\(1, 1\\)"),
        (lambda v: v["nodes"][4]["attributes"].update(axes=[0, 2]), "matrix \\(3, 6\\)"),
        (lambda v: v["nodes"][4]["attributes"].update(axes=["1", 2]), "axes of '_4' is '1'"),
        (lambda v: v["nodes"][5]["attributes"].update(shape=[35]), "shape \\(35,\\)"),
        (lambda v: v["nodes"][6]["tensors"].update(weight="_1.weight"), "uses '_1.weight' twice"),
    ],
)
def test_changed_architectures_with_right_hashes_are_refused(folder, edit, words):
    rewrite_architecture(folder, edit)
    with pytest.raises(ValueError, match=words):
        raise ValueError(refused(folder))


def test_file_names_cannot_lead_elsewhere(folder):
    def edit(values):
        values["files"]["../weights.safetensors"] = values["files"].pop("weights.safetensors")

    path = folder / "certificate.json"
    values = json.loads(path.read_text())
    edit(values)
    values.pop("hash")
    values["hash"] = hashlib.sha256(canonical(values)).hexdigest()
    path.write_bytes(canonical(values))
    shutil.copy(folder / "weights.safetensors", folder.parent / "weights.safetensors")
    assert "files=" in refused(folder)


def test_the_checker_shares_nothing_with_torch(folder):
    """The checker's modules hold no reference to torch, whatever else is imported."""
    import sys

    names = [n for n in sys.modules if n.startswith("onelip.certify.checker")]
    assert len(names) > 8
    assert not [n for n in names if "torch" in vars(sys.modules[n])]


def test_nearly_equal_logits_are_settled_by_the_error_bound(tmp_path):
    model = nn.Linear(2, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
        model.bias.zero_()
    path = certify(model, torch.rand(2, 2), torch.tensor([0, 1])).save(tmp_path)
    assert verify(path).ok
