"""Engines that move parameters: the readable reference, and the fast ones that must equal it."""
