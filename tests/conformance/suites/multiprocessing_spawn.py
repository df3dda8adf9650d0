"""The connection tests of CPython's multiprocessing, with children by spawn."""

from tests.conformance.suites._multiprocessing import connection_tests

globals().update(connection_tests("spawn", __name__))
