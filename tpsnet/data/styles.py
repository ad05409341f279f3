"""What the images of a domain are called in words: texts of a class are written in them."""

STYLES = {
    "line": "line drawing",
    "solid": "solid black icon",
    "flat": "flat icon",
    "shaded": "shaded cartoon",
    "rendered": "3D render",
    "art": "painting",
    "clipart": "clip art picture",
    "product": "product photo",
    "real world": "photo",
    "real": "photo",
    "photo": "photo",
    "sketch": "sketch",
    "quickdraw": "doodle",
    "infograph": "infographic",
    "painting": "painting",
    "amazon": "product photo",
    "dslr": "photo",
    "webcam": "webcam photo",
    "art painting": "painting",
    "cartoon": "cartoon",
    "caltech101": "photo",
    "labelme": "photo",
    "sun09": "photo",
    "voc2007": "photo",
}


def style_of(domain: str) -> str:
    """The words for a domain's images, e.g. "line drawing"; "NAME picture" for a domain without an entry.

    Args:
        domain: Name of the domain; capitals do not matter, and underscores count as spaces.
    """
    key = domain.lower().replace("_", " ")
    return STYLES.get(key, f"{key} picture")
