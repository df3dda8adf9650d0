"""The module that ``site`` imports as an interpreter starts: have safesocket installed, make way.

It leaves no trace: the folder goes from ``sys.path``, and the ``sitecustomize`` that would have
been imported, if there is one, takes this one's place and is met by ``site`` as ever.

Only what every Python can read, 2.7 too, and therefore no functions: with ``--children`` this may
come before an interpreter that has nothing to do with safesocket, which is left alone.
"""

import os
import sys

_FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [_entry for _entry in sys.path if _entry != _FOLDER]
sys.path_importer_cache.pop(_FOLDER, None)

_install = os.environ.get("SAFESOCKET_INSTALL")
_python = sys.version.split()[0] + " " + sys.prefix
if _install == "program" or (
    _install == "children" and os.environ.get("SAFESOCKET_PYTHON") == _python
):
    try:
        if "safesocket" not in sys.modules:
            # This very safesocket, wherever it was found; with its folder on sys.path, what else
            # is there could hide modules of the stdlib.
            from importlib.machinery import PathFinder
            from importlib.util import module_from_spec

            _spec = PathFinder.find_spec("safesocket", [os.path.dirname(os.path.dirname(_FOLDER))])
            sys.modules["safesocket"] = module_from_spec(_spec)  # type: ignore[arg-type]
            _spec.loader.exec_module(sys.modules["safesocket"])  # type: ignore[union-attr]
        from safesocket._startup import hook

        hook.main()
    except Exception as _exc:
        # site would report it and go on, without safesocket; after SystemExit the interpreter
        # dies with a "fatal error".
        if sys.stderr is not None:
            _what = type(_exc).__name__ + ": " + str(_exc)
            sys.stderr.write("safesocket: the program was not started: " + _what + "\n")
            sys.stderr.flush()
        os._exit(2)

# If there is none, this ends in the ImportError that site expects then.
sys.modules.pop(__name__, None)
__import__("sitecustomize")
