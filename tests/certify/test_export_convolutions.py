import torch
import torch.nn.functional as F
from tools.module_table import Call
from torch import nn

from onelip.certify.export import freeze
from onelip.certify.export_modules import module_operation


def test_pads_are_in_the_order_of_the_axes():
    layer = nn.Conv3d(1, 1, (1, 2, 4), padding="same", dilation=(1, 1, 2))
    attributes = module_operation(layer, (1, 5, 5, 7), (1, 5, 5, 7)).attributes
    assert attributes["pads"] == [0, 0, 0, 1, 3, 3]
    assert attributes["dilation"] == [1, 1, 2]


def test_calls_are_like_modules():
    layer = nn.ConvTranspose1d(2, 4, 3, stride=2, padding=1, output_padding=1, groups=2)
    expected = module_operation(layer, (2, 5), (4, 10))
    call = Call(lambda m, x: F.conv_transpose1d(x, m.w, m.b, 2, 1, 1, 2), w=layer.weight.data, b=layer.bias.data)
    (node,) = freeze(call, (2, 5)).network.nodes
    assert (node.op, node.attributes) == (expected.op, expected.attributes)
    assert torch.equal(node.tensors["bias"], layer.bias)
