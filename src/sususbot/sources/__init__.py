"""From outside into the archive: one module per format.

In: files. Out: batches of `Message` values, and in one sentence what was not whole.
"""
