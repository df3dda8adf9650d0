"""Stands in for the module imp, gone since Python 3.12: what PyMySQL's tests want of it."""

from importlib import reload

__all__ = ["reload"]
