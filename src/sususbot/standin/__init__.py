"""A stand-in Discord: an HTTP and websocket server on loopback that a real Discord client logs into.

In: a `World` (who and what exists), rate limits, faults to inject. Out: `StandIn`, a running server with the truth
about what was sent, who was pinged, how often and when. Nothing here imports a Discord library or leaves loopback.
"""
