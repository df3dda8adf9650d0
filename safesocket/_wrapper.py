"""A wrapper around a function of ``socket``'s: wrapt's, and what wrapt leaves to its users.

The only file that imports wrapt; loaded by ``install()``.
"""

from __future__ import annotations

import wrapt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

register_post_import_hook = wrapt.register_post_import_hook


class Wrapper(wrapt.FunctionWrapper):  # type: ignore[type-arg]
    """A function with something around it; to pickle and copy it is what the function was."""

    def __init__(
        self, function: Any, around: Callable[..., Any], is_on: Callable[[], bool], name: str
    ) -> None:
        super().__init__(function, around, is_on)
        self._self_name = name
        self._self_is_on = is_on

    def __copy__(self) -> Wrapper:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Wrapper:
        return self

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        # By the stdlib's means: where it is loaded, nothing may be installed, not even we.
        from pkgutil import resolve_name

        return resolve_name, (f"socket:{self._self_name}",)


def unwrapped(value: Any) -> Any:
    """Return *value*, without the wrappers around it that only pass calls on."""
    while type(value) is Wrapper and not value._self_is_on():
        value = value.__wrapped__
    return value
