"""From a table to a verdict: rows, intervals, and the one rule by which a claim holds, fails or cannot be told."""
