"""What is to be learnt: targets, input distributions and corruptions. X is (m, n), y is (m,) in {-1, +1}.

Here as in all rooms, arguments outside the stated ranges, of other shapes or not finite raise ``ValueError``, with
the parameter, the constraint and what came.
"""
