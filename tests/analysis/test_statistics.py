"""Every figure of an analysis, computed a second time from the archive's rows by other means."""

import re
from collections import Counter
from datetime import datetime
from itertools import pairwise
from math import log, sqrt
from pathlib import Path

import orjson
import pytest

from sususbot.analysis.activity import Clock
from sususbot.analysis.analysis import Analysis
from sususbot.analysis.keywords import log_odds
from sususbot.analysis.statistics import analyze
from sususbot.archive.archive import Archive
from sususbot.chat_format import one_line, speaker
from sususbot.corpus.clean import Cleaned, clean
from sususbot.corpus.consent import consented
from sususbot.corpus.segment import segment
from sususbot.corpus.tokens import Estimate
from tests.analysis import teahouse
from tests.analysis.counted import WRITTEN, analyzed, cleaned_as_a_corpus, local, one, rows
from tests.analysis.teahouse import DOLLAR, GARDEN, KIM, KITCHEN, MIA, NUR, SCRIPT, START, TURNED, ZED


def test_overview(folder: Path, analysis: Analysis) -> None:
    seen = analysis.overview
    assert (seen.server, seen.timezone) == ("Tea <i>house</i>", "Europe/Berlin")
    assert seen.messages == one(folder, "count(*) FROM messages WHERE deleted_at IS NULL")
    assert seen.written == one(folder, f"count(*) FROM messages WHERE {WRITTEN}") == len(rows(folder))
    assert seen.messages == seen.written + seen.by_bots + seen.by_discord
    assert (seen.by_bots, seen.by_discord, seen.deleted) == (1, 1, 1)
    assert seen.edited == one(folder, f"count(*) FROM messages WHERE edited_at IS NOT NULL AND {WRITTEN}") == 1
    assert seen.pinned == one(folder, f"count(*) FROM messages WHERE pinned AND {WRITTEN}") == 1
    assert seen.with_files == one(folder, f"count(*) FROM messages WHERE attachments IS NOT NULL AND {WRITTEN}") == 1
    assert seen.authors == one(folder, f"count(DISTINCT author_id) FROM messages WHERE {WRITTEN}") == 8
    assert (seen.bots, seen.channels) == (1, 2)
    assert seen.origins == {"export": seen.messages}
    days = {local(row["created_at"]).date() for row in rows(folder)}
    assert seen.active_days == len(days)
    assert seen.days == (max(days) - min(days)).days + 1
    assert seen.first == "2024-03-29 19:30"


def test_volume(folder: Path, analysis: Analysis) -> None:
    counts = Counter(local(row["created_at"]).date().isoformat() for row in rows(folder))
    assert analysis.volume.unit == "day"
    periods = analysis.volume.periods
    assert {period.start: period.messages for period in periods if period.messages} == counts
    starts = [datetime.fromisoformat(period.start) for period in periods]
    assert all((later - earlier).days == 1 for earlier, later in pairwise(starts))
    assert analysis.volume.busiest is not None
    assert analysis.volume.busiest.messages == max(counts.values())


def test_hours_keep_summer_time(folder: Path, analysis: Analysis) -> None:
    counts = Counter((local(row["created_at"]).weekday(), local(row["created_at"]).hour) for row in rows(folder))
    hours = analysis.week.hours
    assert {(day, hour): count for day, row in enumerate(hours) for hour, count in enumerate(row) if count} == counts
    # 18:30 UTC is 19:30 in winter and 20:30 from the 31st of March.
    assert (hours[4][19], hours[5][19]) == (10, 10)
    assert hours[6][19] == 0
    by_hour = Counter(local(row["created_at"]).hour for row in rows(folder))
    assert analysis.week.busiest_hour == by_hour.most_common(1)[0][0]
    assert by_hour[analysis.week.quietest_hour] == 0


def test_channels(folder: Path, analysis: Analysis) -> None:
    for row in analysis.channels:
        mine = [message for message in rows(folder) if str(message["channel_id"]) == row.id]
        assert row.messages == len(mine)
        assert row.authors == len({message["author_id"] for message in mine})
        assert row.first == local(min(m["created_at"] for m in mine)).strftime("%Y-%m-%d %H:%M")
        assert row.last == local(max(m["created_at"] for m in mine)).strftime("%Y-%m-%d %H:%M")
    assert sum(row.conversations for row in analysis.channels) == analysis.conversations.conversations
    assert [row.name for row in analysis.channels] == ["kitchen", "<b>garden</b>"]


def test_authors(folder: Path, analysis: Analysis) -> None:
    said = rows(folder)
    by_author = Counter(message["author_id"] for message in said)
    assert [int(row.id) for row in analysis.authors.rows] == sorted(
        by_author.keys() - {ZED.id}, key=lambda id_: (-by_author[id_], id_)
    )
    for row in analysis.authors.rows:
        mine = [message for message in said if str(message["author_id"]) == row.id]
        assert row.messages == len(mine)
        assert row.share == pytest.approx(len(mine) / len(said), abs=5e-5)
        assert row.active_days == len({local(message["created_at"]).date() for message in mine})
        assert row.reactions_got == sum(count for message in mine for _, count in message["reactions"])
    sizes = sorted(by_author.values(), reverse=True)
    assert analysis.authors.top_share == 1
    half = next(n for n in range(len(sizes)) if 2 * sum(sizes[:n]) >= len(said))
    assert analysis.authors.half_by == half


def test_consent(folder: Path, analysis: Analysis) -> None:
    authors = analysis.authors
    by_author = Counter(message["author_id"] for message in rows(folder))
    states = {row.id: (row.learn, row.remember, row.quote, row.said) for row in authors.rows}
    assert states[str(KIM.id)] == (True, True, False, "member")
    assert states[str(NUR.id)] == (False, True, True, "owner")
    assert states[str(MIA.id)] == (True, True, True, "")
    assert (authors.consent, authors.answered) == ("opt-out", 3)
    assert (authors.may_learn, authors.may_remember, authors.may_quote) == (6, 7, 6)
    assert (authors.refused.members, authors.refused.messages) == (1, by_author[ZED.id])
    assert authors.learnable == len(rows(folder)) - by_author[ZED.id] - by_author[NUR.id]
    assert authors.learnable_share == pytest.approx(authors.learnable / len(rows(folder)), abs=5e-5)


def test_who_answers_whom(folder: Path, analysis: Analysis) -> None:
    said = {message["id"]: message for message in rows(folder)}
    replies: Counter[tuple[int, int]] = Counter()
    mentions: Counter[tuple[int, int]] = Counter()
    for message in said.values():
        answered = said.get(message["reply_to"])
        if answered:
            replies[message["author_id"], answered["author_id"]] += 1
        for other in set(message["mentions"]) - ({answered["author_id"]} if answered else set()):
            mentions[message["author_id"], other] += 1
    answers = analysis.answers
    assert (answers.replies, answers.mentions) == (replies.total(), mentions.total())
    own = sum(count for (a, b), count in (replies + mentions).items() if a == b)
    assert answers.to_oneself == own == 1
    assert answers.with_refused == sum(count for pair, count in (replies + mentions).items() if ZED.id in pair) == 30
    names = {row.name: int(row.id) for row in analysis.authors.rows}
    for pair in answers.pairs:
        ids = names[pair.source], names[pair.target]
        assert (pair.replies, pair.mentions) == (replies[ids], mentions[ids])
    assert len(answers.pairs) == len({p for p in replies + mentions if p[0] != p[1] and ZED.id not in p})
    for i, source in enumerate(answers.people):
        for j, target in enumerate(answers.people):
            ids = names[source], names[target]
            assert answers.matrix[i][j] == (replies[ids] + mentions[ids] if i != j else 0)
    given = {row.id: row.answers_given for row in analysis.authors.rows}
    assert given[str(SCRIPT.id)] == 30
    assert {row.id: row.answers_got for row in analysis.authors.rows}[str(MIA.id)] == 61


def test_reactions_and_replies(folder: Path, analysis: Analysis) -> None:
    said = {message["id"]: message for message in rows(folder)}
    seen = analysis.reactions
    emoji: Counter[str] = Counter()
    for message in said.values():
        for sign, count in message["reactions"]:
            emoji[sign] += count
    assert {one.name: one.count for one in seen.emoji} == emoji
    assert seen.reactions == emoji.total()
    assert seen.reacted == sum(bool(message["reactions"]) for message in said.values())
    replying = [message for message in said.values() if message["reply_to"]]
    assert seen.replies == len(replying)
    assert seen.replies_share == pytest.approx(len(replying) / len(said), abs=5e-5)
    assert seen.reacted_share == pytest.approx(seen.reacted / len(said), abs=5e-5)
    assert seen.replies_to_unknown == sum(message["reply_to"] not in said for message in replying) == 1
    assert seen.answered == len({message["reply_to"] for message in replying} & said.keys())
    assert seen.median_answer_s == 120
    assert (seen.favourites[0].count, seen.favourites[0].author) == (11, "gnp.exe[31m")
    assert [quote.count for quote in seen.favourites[1:]] == [5, *[3] * 6]


def test_lengths_are_those_of_cleaned_lines(folder: Path, analysis: Analysis) -> None:
    with Archive(folder) as archive:
        kept = [cleaned for cleaned in cleaned_as_a_corpus(archive) if cleaned.parts]
    lengths = sorted(sum(Estimate().count([f" {one_line(part)}\n" for part in cleaned.parts])) for cleaned in kept)
    seen = analysis.lengths
    assert (seen.tokenizer, seen.exact) == ("estimate", False)
    assert (seen.messages, seen.tokens) == (len(lengths), sum(lengths))
    assert seen.mean == pytest.approx(sum(lengths) / len(lengths), abs=0.05)
    assert seen.longest == lengths[-1]
    assert seen.median == lengths[(len(lengths) - 1) // 2]
    assert seen.p90 == lengths[-(-len(lengths) * 9 // 10) - 1]
    assert seen.p99 == lengths[-(-len(lengths) * 99 // 100) - 1]
    for one_bin in seen.bins:
        assert one_bin.count == sum(one_bin.low <= size <= (one_bin.high or size) for size in lengths)
    tokens = {row.id: row.tokens for row in analysis.authors.rows}
    assert sum(tokens.values()) + analysis.authors.refused.tokens == seen.tokens


def test_emoji(folder: Path, analysis: Analysis) -> None:
    texts = [message["content"] for message in rows(folder) if message["author_id"] != ZED.id]
    custom = Counter(a or b for text in texts for a, b in re.findall(r"<a?:(\w+):\d+>|(?<!<)(?<!<a):([a-z]+):", text))
    assert {one.name: one.count for one in analysis.emoji.custom} == custom == {"tea": 30, "pot": 2}
    assert {one.name: one.count for one in analysis.emoji.unicode} == {"🎉": 30, "👍🏽": 1}
    assert (analysis.emoji.total, analysis.emoji.messages) == (63, 31)


def test_words(folder: Path, analysis: Analysis) -> None:
    assert analysis.words.dropped == 0
    with Archive(folder) as archive:
        kept = [cleaned for cleaned in cleaned_as_a_corpus(archive) if cleaned.parts]
    said: dict[int, Counter[str]] = {}
    for cleaned in kept:
        text = re.sub(r"\[\w+\]|@[\w.-]+|:\w+:|\w+://\S+", " ", cleaned.text.casefold())
        words = [word for word in re.findall(r"[a-zà-ÿ]+(?:'[a-z]+)?", text) if len(word) > 1]
        said.setdefault(cleaned.message.author.id, Counter()).update(words)
    everybody = sum(said.values(), Counter[str]())
    assert (analysis.words.words, analysis.words.vocabulary) == (everybody.total(), len(everybody))
    by_name = {row.author: row for row in analysis.words.rows}
    assert by_name.keys() == {"Mia", "Tom", "$x_1$ & 'co'"}
    mia = by_name["Mia"]
    assert (mia.words, mia.vocabulary) == (said[MIA.id].total(), len(said[MIA.id]))
    for keyword in mia.keywords:
        own, others = said[MIA.id][keyword.word], everybody[keyword.word] - said[MIA.id][keyword.word]
        assert keyword.count == own
        assert keyword.z == pytest.approx(_z(own, mia.words, others, everybody.total() - mia.words), abs=0.051)
        assert keyword.times >= 2
    assert "kuchen" in {keyword.word for keyword in by_name["$x_1$ & 'co'"].keywords}
    # Said by two, but most by her.
    assert "teapot" in {keyword.word for keyword in mia.keywords}


def _z(own: int, own_total: int, others: int, others_total: int) -> float:
    """Fightin' Words as the paper writes it: the prior of a word is its part of 1,000 words of everybody."""
    prior = 1000 * (own + others) / (own_total + others_total)
    omega_own = (own + prior) / (own_total + 1000 - own - prior)
    omega_others = (others + prior) / (others_total + 1000 - others - prior)
    return (log(omega_own) - log(omega_others)) / sqrt(1 / (own + prior) + 1 / (others + prior))


def test_log_odds_are_even_for_an_even_word_and_swap_their_sign() -> None:
    assert log_odds(50, 1000, 500, 10_000) == pytest.approx(0, abs=1e-9)
    assert log_odds(50, 1000, 50, 1000) == pytest.approx(0, abs=1e-9)
    assert log_odds(80, 1000, 20, 1000) == pytest.approx(-log_odds(20, 1000, 80, 1000))


def test_languages(analysis: Analysis) -> None:
    languages = {one.name: one.count for one in analysis.languages.languages}
    assert languages["de"] == 30
    assert languages["en"] > 100
    seen = analysis.languages
    assert seen.looked_at == sum(languages.values()) + seen.uncertain
    assert seen.looked_at + seen.too_short == analysis.lengths.messages
    assert seen.every == 1


def test_duplicates_and_spam(folder: Path, analysis: Analysis) -> None:
    said = [" ".join(message["rendered"].casefold().split()) for message in rows(folder)]
    long = Counter(text for text in said if len(text) >= 20)
    assert analysis.duplicates.compared == long.total()
    assert analysis.duplicates.repeats == long.total() - len(long) == 3
    assert analysis.duplicates.repeats_share == pytest.approx(3 / long.total(), abs=5e-5)
    assert [(quote.text, quote.count) for quote in analysis.duplicates.texts] == [
        ("the very same sentence, word for word again", 4)
    ]
    assert [(one.name, one.count) for one in analysis.duplicates.repeaters] == [("Mia", 3)]
    spam = analysis.spam
    assert (spam.floods, spam.flood_messages, spam.same_again) == (1, 7, 2)
    assert (spam.many_mentions, spam.everyone, spam.only_links) == (1, 1, 1)


def test_cleaning_counts_each_message_once(folder: Path, analysis: Analysis) -> None:
    seen = analysis.cleaning
    assert seen.messages == analysis.overview.messages == seen.kept + seen.dropped
    assert seen.dropped == sum(rule.dropped for rule in seen.rules)
    assert seen.kept_share == pytest.approx(seen.kept / seen.messages, abs=5e-5)
    with Archive(folder) as archive:
        everything = list(cleaned_as_a_corpus(archive))
    dropped = Counter(cleaned.rules[-1] for cleaned in everything if not cleaned.parts)
    assert {rule.name: rule.dropped for rule in seen.rules if rule.dropped} == dropped
    assert seen.changed == sum(bool(cleaned.parts and cleaned.rules) for cleaned in everything)
    for rule in seen.rules:
        changed = sum(rule.name in (c.rules if c.parts else c.rules[:-1]) for c in everything)
        assert rule.changed == changed, rule.name


def test_examples_show_no_secret(analysis: Analysis) -> None:
    text = orjson.dumps(analysis).decode()
    assert "hunter2hunter2" not in text
    assert "example@example.org" not in text
    commands = next(rule for rule in analysis.cleaning.rules if rule.name == "commands")
    assert commands.examples[0].before.startswith("!login my password is [password]")


def learned(folder: Path, analysis: Analysis) -> list[list[Cleaned]]:
    """Conversations of those who may be learned from."""
    learnable = {int(row.id) for row in analysis.authors.rows if row.learn}
    with Archive(folder) as archive:
        return [list(one.lines) for one in segment(consented(cleaned_as_a_corpus(archive), learnable))]


def test_conversations(folder: Path, analysis: Analysis) -> None:
    seen, there = analysis.conversations, learned(folder, analysis)
    sizes = sorted(map(len, there))
    speakers = [len({line.message.author.id for line in lines}) for lines in there]
    minutes = sorted((lines[-1].message.created_at - lines[0].message.created_at) // 60_000 for lines in there)
    assert (seen.conversations, seen.messages) == (len(there), sum(sizes))
    assert seen.alone == speakers.count(1) == 1
    assert seen.mean_messages == pytest.approx(sum(sizes) / len(sizes), abs=0.05)
    assert seen.mean_speakers == pytest.approx(sum(speakers) / len(speakers), abs=0.05)
    assert seen.median_messages == sizes[(len(sizes) - 1) // 2]
    assert seen.p90_messages == sizes[-(-len(sizes) * 9 // 10) - 1]
    assert seen.longest_messages == sizes[-1]
    assert seen.median_minutes == minutes[(len(minutes) - 1) // 2]
    for one_bin in seen.bins:
        assert one_bin.count == sum(one_bin.low <= size <= (one_bin.high or size) for size in sizes)
    tokens = sorted(sum(map(line_tokens, lines)) for lines in there)
    assert seen.median_tokens == tokens[(len(tokens) - 1) // 2]
    assert seen.longer_than_sample == sum(size > 1024 for size in tokens) == 0


def line_tokens(line: Cleaned) -> int:
    """A line as it stands in a sample."""
    name = f"{speaker(line.message.author.display_name)}:"
    return sum(sum(Estimate().count([name, f" {one_line(part)}\n"])) for part in line.parts)


def test_tokens_of_an_epoch(folder: Path, analysis: Analysis) -> None:
    """Of the conversations in which somebody answers, all of it."""
    answered = [lines for lines in learned(folder, analysis) if len({line.message.author.id for line in lines}) > 1]
    messages, tokens = sum(map(len, answered)), sum(line_tokens(line) for lines in answered for line in lines)
    assert analysis.training.messages == messages == analysis.conversations.messages - 1
    header = Estimate().count(["\n\n"])[0] * len(answered)
    tokens += header
    assert analysis.training.tokens_per_epoch == tokens
    assert analysis.training.tokens_per_message == pytest.approx(tokens / messages, abs=0.05)


def test_conversations_of_channels_do_not_touch(folder: Path, analysis: Analysis) -> None:
    """Each channel by itself gives the same conversations as both together."""
    with Archive(folder) as archive:
        alone = [
            tuple(line.message.id for line in conversation.lines)
            for channel in (KITCHEN, GARDEN)
            for conversation in segment(clean(archive.history(channel_id=channel.id)))
        ]
        together = [tuple(line.message.id for line in c.lines) for c in segment(clean(archive.history()))]
    assert sorted(alone) == sorted(together)
    by_channel = {row.name: row.conversations for row in analysis.channels}
    assert sum(by_channel.values()) == analysis.conversations.conversations


def test_the_order_of_import_changes_nothing(tmp_path: Path, analysis: Analysis) -> None:
    with Archive(tmp_path) as archive:
        for channel in (GARDEN, KITCHEN):
            archive.add_channel(teahouse.GUILD, channel, origin="export", seen_at=START)
        said = teahouse.messages()
        source = archive.add_source("export", "teahouse.json")
        for message in reversed(said):
            archive.add([message], source=source, fetched_at=START)
        gone = [message.id for message in said if message.rendered.startswith("this will be deleted")]
        archive.delete(gone, at=START)
        archive.consents.say(NUR.id, by="owner", way="cli", at=START, learn=False)
        archive.consents.say(KIM.id, by="member", way="command", at=START, quote=False)
        archive.consents.say(ZED.id, by="member", way="command", at=START, learn=False, remember=False, quote=False)
    assert analyzed(tmp_path) == analysis


def test_progress_names_the_whole(folder: Path) -> None:
    told: list[tuple[int, int]] = []
    with Archive(folder) as archive:
        analyze(archive, Clock("UTC"), Estimate(), progress=lambda done, total: told.append((done, total)))
        there = archive.counts().messages - archive.counts().deleted
    assert told == [(done, there) for done in range(1000, there + 1, 1000)]


def test_names_say_nothing_to_a_terminal(analysis: Analysis) -> None:
    names = {row.name for row in analysis.authors.rows}
    assert "gnp.exe[31m" in names
    assert TURNED.display_name not in names
    assert DOLLAR.display_name in names
    assert all(character.isprintable() for name in names for character in name)
