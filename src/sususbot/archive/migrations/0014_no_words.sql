-- Full text goes: memory keeps the words of messages as numbers (0008_terms.sql) and searches them itself.

DROP TABLE words;
