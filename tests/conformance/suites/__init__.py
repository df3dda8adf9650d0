"""Suites made of CPython's own tests where its package does not ship the module that does so."""
