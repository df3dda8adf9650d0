"""The connection tests of CPython's multiprocessing, with children by fork."""

from tests.conformance.suites._multiprocessing import connection_tests

globals().update(connection_tests("fork", __name__))
