"""Loops over rows and tiles that stay in vector registers; what the engines share."""
