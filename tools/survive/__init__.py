"""Pulled plugs: what a sweep must survive, done to it, and whether it ends in the same bytes. See ``__main__``."""
