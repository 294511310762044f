"""Damaged, strange and hostile files for every reader of files: none may cost more than an error of one line."""
