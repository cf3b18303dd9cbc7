"""Runs of generative adversarial networks: preparation, training, results, and generators from run folders."""

from onelip.experiments.gan.saved import load_generator

__all__ = ["load_generator"]
