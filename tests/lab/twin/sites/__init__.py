"""Remote sites, behaving as each profile's cloud does."""

from __future__ import annotations

from .router import Learnt, RouterError
from .site import Session, Site

__all__ = ["Learnt", "RouterError", "Session", "Site"]
