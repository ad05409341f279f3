"""Embeddings and rankings made visible: figures, contact sheets, live widgets. No models in here."""
