"""The steps of a scenario as documents: what a call gets, a fault or an answer of one's own, and
which calls get it. They are read from files of scenarios, the admin API and the folder of
`--pictures`.
"""
