"""Parameters, initialisations, forward passes and hand-built weights."""
