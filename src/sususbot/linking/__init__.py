"""Who answers whom: the lines of one channel come in, in their order; for each, the earlier line it answers goes out.

A line's words, names and place become features of every earlier line it may answer (`features`, over what `channel`
remembers); a small network (`network`) scores them. No language model, nothing heavy; `fit` makes the shipped numbers.
"""
