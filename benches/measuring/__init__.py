"""What `compare`, `scale` and `instructions` stand on.

`work` is what every proxy is asked to do; `origin` answers it, `linkgate` and `peers` are started in front
of it, `wrk`, `h2load` and `steady` put load on them; `ground` holds a run's folder and processes, `machine` says
where it ran, `figures` and `chart` show what came out. `comparing` and `scaling` ask the questions.
"""
