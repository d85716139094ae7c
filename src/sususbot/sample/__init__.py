"""The sample history: a small fictional server, "The Leaky Kettle", to try the bot on without any data of one's own.

All of it is invented and written by hand by the sususbot project: no person, place, game or message in it is real.
It carries the project's own licence, MIT.

- `general.json`, `projects.json`, `gaming.json`: one file per channel, September 2024 to February 2025, laid out as
  DiscordChatExporter writes its JSON (times in UTC), so the ordinary importer reads them.
- `questions.json`: twelve questions about that history, each with the ids of the messages that hold the answer
  (`evidence`, best first) and a short `answer`. The first three are the showcase that the demo asks by itself.
"""
