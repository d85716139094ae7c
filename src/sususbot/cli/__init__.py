"""The command line: the only place that reads settings and builds objects.

Each command is a module, loaded when called.
Help texts are documents: `docs/commands.md` is made of them, so after a change  make docs. Options and the keys of
`--json` are used by other people's scripts: add, but rename none.
"""
