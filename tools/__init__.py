"""What keeps the documentation true: run from the repository root."""
