"""The statements measured: what ``learnability verify`` runs."""
