"""The statements of the paper: numbers in, a guarantee out, one statement a function. Nothing here trains."""
