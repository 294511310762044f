"""The papers' networks and starts for PyTorch (:mod:`.torch`) and JAX (:mod:`.jax`); this loads neither."""
