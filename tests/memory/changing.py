"""Adds, edits and deletes messages and learns them, on and on, and tells of each step: to be killed in the middle."""

import random
import sys
from pathlib import Path

from sususbot.archive.archive import Archive
from sususbot.archive.links import Found
from sususbot.memory.long_term import LongTerm
from sususbot.memory.vector_index import ExactIndex
from sususbot.messages import Message
from tests.memory.chat import MIA, TOM, Chat, WordEmbedder


def run(folder: Path, turn: int) -> None:
    chance = random.Random(turn)
    with Archive(folder) as archive:
        archive.vectors.use_embedder("words")
        archive.links.use_linker("rules")
        chat = Chat(archive)
        chat.begin_at(turn * 100_000)
        memory = LongTerm(archive, WordEmbedder(), ExactIndex(64))
        said: list[Message] = []
        for step in range(100_000):
            kind = chance.random()
            if kind < 0.6 or not said:
                said.append(chat.say(chance.choice([MIA, TOM]), f"first{turn}x{step} spoon"))
                changed = said[-1]
            else:
                changed = said.pop(chance.randrange(len(said)))
                if kind < 0.8:
                    chat.edit(changed, f"second{turn}x{step} spoon")
                else:
                    chat.delete(changed)
            print(step, flush=True)
            memory.drop_stale([changed.id])
            memory.learn([changed.id])
            archive.links.put([Found(one.id, one.text, None, 0.5) for one in archive.links.pending(9, [changed.id])])
            print(step, flush=True)


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]))
