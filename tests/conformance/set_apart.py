"""Tests of CPython that differ under safesocket and may: id -> the reason, in one sentence.

Only data lives here. None is set apart for our convenience: a reason says why no stand-in for
the socket module could behave like the original. An entry that does not differ is a failure.
"""

from __future__ import annotations

SET_APART: dict[str, str] = {}
