"""The words of a message before a model reads them: what rules take out or shorten, and the marks they leave."""
