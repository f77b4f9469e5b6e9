"""Every alert of MarketPrism in one table, and what follows from it: Prometheus' rules, the alerts' page of the docs.

`table` has the rules, `slo` the objectives, `thresholds` their numbers, `render` the files; `python -m alerting.rules`
writes them. To add a rule: a few lines in the table, `docs/runbooks/<AlertName>.md` in both languages, and a proof in
tests/alerting/proofs; the tests name whatever is missing.
"""
