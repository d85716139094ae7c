"""Discord's REST API to the archive: `collector.collect` takes channels and threads in, page by page, resumably.

In: a token, channel ids, an archive. Out: the channels' history as Discord shows it, and what could not be read.
Paced by what the API allows and answers (`limits`), patient with what breaks on the way (`client`).
"""
