"""Turns to text: one protocol (`backend`), one file for each way to compute, and the queue before them (`inference`).

In: a `Request` (rendered prompt, the turns behind it, stop strings, sampling). Out: chunks of text, as they are made.
"""
