"""The commands of ``python -m safesocket``, a module each; nothing else of safesocket imports them.

Here is nothing: what the commands share on the way to the screen is in ``table``.
"""
