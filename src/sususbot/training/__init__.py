"""Samples to adapter: who permitted it, what is learned and how, on which card, and what is made of it."""

from logging import ERROR, getLogger

# bitsandbytes complains about an optional package for processors whenever it is loaded.
getLogger("bitsandbytes.backends.cpu.ops").setLevel(ERROR)
