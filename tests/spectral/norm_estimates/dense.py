"""The whole matrix of a layer, in float64, from torch's own forward pass: the reference for all norms."""

import math

import numpy as np
import torch


def matrix(layer, input_shape):
    units = torch.eye(math.prod(input_shape), dtype=torch.float64).reshape(-1, *input_shape)
    with torch.no_grad():
        columns = layer(units) - layer(torch.zeros_like(units[:1]))
    return columns.flatten(1).mT.numpy()


def norm(layer, input_shape):
    return float(np.linalg.norm(matrix(layer, input_shape), 2))
