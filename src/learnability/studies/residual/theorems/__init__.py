"""The statements of the paper: numbers in, a guarantee out, one statement a function. Nothing here trains.

Ranges of arguments are given where they are described: outside them, and for shapes that disagree, there is a
``ValueError``.
"""
