"""Kernels, random features and kernel regression: what can be learnt without learning the features.

Arguments outside the stated ranges, of other shapes or not finite raise ``ValueError``. So does a kernel that would
exceed :data:`learnability.kernels.pairs.MEMORY` (with the most rows that would fit), or leaves float64.
"""
