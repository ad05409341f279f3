"""A workbench for unsupervised cross-domain image retrieval on CLIP."""
