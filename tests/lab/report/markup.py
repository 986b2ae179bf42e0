"""HTML and SVG elements, escaped by the standard library."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element, tostring

Child = Element | str | None


def element(name: str, /, *children: Child | Iterable[Child], **attributes: str | float | None) -> Element:
    """An element; children are elements, text, or sequences of them.

    Attributes: None leaves one out, `class_` is `class`, and an underscore elsewhere is a hyphen.
    """
    made = Element(name, {_name(key): _text(value) for key, value in attributes.items() if value is not None})
    for child in children:
        for one in (child,) if child is None or isinstance(child, str | Element) else child:
            _append(made, one)
    return made


def document(root: Element) -> str:
    """A whole HTML document."""
    return f"<!doctype html>\n{tostring(root, encoding='unicode', method='html')}\n"


def _append(parent: Element, child: Child) -> None:
    if child is None:
        return
    if isinstance(child, Element):
        parent.append(child)
    elif len(parent):
        parent[-1].tail = (parent[-1].tail or "") + child
    else:
        parent.text = (parent.text or "") + child


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"
