"""The connection tests of CPython's multiprocessing, with children by forkserver."""

from tests.conformance.suites._multiprocessing import connection_tests

globals().update(connection_tests("forkserver", __name__))
