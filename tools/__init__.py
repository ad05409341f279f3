"""Rebuilding the embedded assets: pictures and the small CLIP. Needs the `assets` extra."""
