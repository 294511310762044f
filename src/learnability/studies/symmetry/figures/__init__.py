"""One module a figure: what ``learnability run`` runs."""
