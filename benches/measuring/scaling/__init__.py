"""`benches/scale`: does a request cost the same when there is more of everything?

One file a question: `grants`, `connections`, `busy`, `failing`, `headers`, `uptime`, `wave`. Each gives `Answer`s; `command` is
the command, `report` writes down.
"""
