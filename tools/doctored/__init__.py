"""A test of the tests: which verdicts could have failed? See ``__main__``."""
