"""Images of a page once they are decoded, which is later than their elements are there."""

from playwright.sync_api import Locator


def widths(images: Locator) -> list[int]:
    """Width of each image in pixels of its own; one that is broken is an error."""
    return images.evaluate_all(
        "images => Promise.all(images.map(image => image.decode().then(() => image.naturalWidth)))"
    )
