"""Pictures of embeddings and rankings: figures, contact sheets, live widgets. No models in here."""
