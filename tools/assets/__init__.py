"""Rebuild the embedded assets: the images and the small CLIP. Needs the extra ``assets``."""
