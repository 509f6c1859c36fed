"""Client libraries as they are, each in an environment of its own, against a real server.

`tests/clients/run` runs all of them, `tests/clients/run litellm` those with that in their names.
A client is a row of `catalogue.py`, a program in `programs/` and its packages in `pins/`. What the
last run found stands in `results.json`, and from there in `docs/reference/clients.md`.
"""
