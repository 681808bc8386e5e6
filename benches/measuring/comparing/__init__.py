"""`benches/compare`: what the same work costs in Linkgate and in other proxies, in interleaved, paired rounds.

`command` is the command; `scenarios` is the table of what is asked, `world` starts the proxies for one of them, `rounds`
measures (by `loads`, `callers`, `failing`), `bars` judges, `report` writes down.
"""
