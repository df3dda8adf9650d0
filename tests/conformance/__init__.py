"""CPython's own test suites, run plain and with safesocket in place of socket, and compared.

    python -m tests.conformance                        # all suites, in all modes
    python tests/conformance/__main__.py test_socket   # from anywhere; these suites only
    python -m tests.conformance --mode plain           # plain against plain: is the judge fair?

The interpreter that runs this is the one under test. Each suite is run twice, in two processes
at the same time, and every test must end the same way in both: pass, fail, or be skipped for
the same reason. Anything else is a difference, and one difference makes the exit status 1. A
test that fails plain and passes with safesocket is reported as better, and is not a failure.

A test that differs is run again, alone, up to twice. If it agrees once it counts as equal, and
is reported as flaky: the tests of CPython wait on clocks and on fixed ports. Tests that fail or
are skipped in both runs prove nothing; the report counts them.

    __main__.py    the command line, the processes, the report
    _child.py      one suite in one mode; the table of modes
    _compare.py    two tables of outcomes -> a verdict: pure, tested by tests/test_conformance.py
    suites/        the connection tests of multiprocessing, as suites
    _machine.py    what hangs on this machine with any socket module
    set_apart.py   tests that are known to differ, each with its reason
"""
