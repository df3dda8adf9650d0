"""What a program started by ``python -m safesocket run`` goes through before its first line.

This folder is put in front of PYTHONPATH, so that the interpreter finds ``sitecustomize`` in it;
``hook`` is the part that knows safesocket. Nothing else may live here: it would be importable by
its bare name.
"""
