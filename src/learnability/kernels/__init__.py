"""Kernels, random features and kernel regression: what can be learnt without learning the features."""
