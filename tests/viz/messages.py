"""How a page talks to a ``RetrievalBrowser``, through the widget's own handler."""


def tell(browser, sent, message, buffers=()):
    """The answers to a message, by kind, sent through the widget's own handler."""
    sent.clear()
    browser._handle_custom_msg({"id": "a:1", **message}, list(buffers))
    return {content["kind"]: (content, images) for content, images in sent}


def look(browser, sent):
    """All that a newly opened page is sent."""
    return tell(browser, sent, {"kind": "hello", "has": False})
