"""How good a bot is. In: systems that answer, messages held out by time. Out: a report with figures and intervals."""
