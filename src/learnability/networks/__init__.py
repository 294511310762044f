"""Parameters, initialisations, forward passes and hand-built weights.

Arguments outside the stated ranges, of other shapes or not finite raise ``ValueError``.
"""
