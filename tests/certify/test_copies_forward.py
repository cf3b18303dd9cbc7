import torch

from onelip.certify.copies_forward import gather, put, take
from onelip.certify.records import Node

X = torch.arange(12, dtype=torch.float64).reshape(1, 2, 6)


def node(op, tensors=None, **attributes):
    return Node("n", op, ("input",), attributes, tensors or {})


def test_gather():
    y, error = gather(node("gather", axes=[1, 0], indices=[[5, -1, 0], [1]], fill=-2.0), [X])
    assert y.tolist() == [[[11, -2, 6]]]
    assert not error.any()


def test_take_and_put_are_adjoint():
    index = torch.tensor([3, 3, -1, 0, 11, 3], dtype=torch.float64)
    y, _ = take(node("take", {"index": index}, shape=[2, 3], fill=0.0), [X])
    assert y.tolist() == [[[3, 3, 0], [0, 11, 3]]]
    z = torch.tensor([[1.0, 2, 4, 8, 16, 32]], dtype=torch.float64)
    back, error = put(node("put", {"index": index}, shape=[2, 6]), [z])
    assert back[0, 0].tolist() == [8, 0, 0, 35, 0, 0]
    assert float((back * X).sum()) == float((y.flatten(1) * z).sum())
    assert (error > 0).all()


def test_the_error_of_sums():
    z = torch.tensor([[1.0, 2.0**-53, 2.0**-53, 2.0**-53]], dtype=torch.float64)
    y, error = put(node("put", {"index": torch.zeros(4, dtype=torch.float64)}, shape=[1]), [z])
    assert abs(float(y) - 1 - 3 * 2.0**-53) <= float(error) <= 2e-15
