"""One file per question about speed or size. Each measures its bare minimum beside it, in the same run.

In: files to measure on. Out: a `Result`: shares and ratios hold on any machine, seconds only on the one it names.
To add one: a file with a function that gives a `Result`, and a line in `cli/bench.py`.
"""
