"""TRL's SFTTrainer on the documents of an order (see `training_ways`), in an environment of its own.

    python training_trl.py ORDER.json

It runs where sususbot is not installed, so it imports nothing of it. As TRL trains if it is not told otherwise:
unpacked, batches of 8 filled up to the longest. Set to what the other ways do: fp32 on the processor, gradients added
up over as many batches, nothing computed twice (`gradient_checkpointing`, which costs time), documents of any length,
in the given order, already as ids. It knows no weights: what weighs something is learned.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import SFTConfig, SFTTrainer


class Rounds(TrainerCallback):
    """Lets the trainer do one round for each line that is read, and answers what it took."""

    def __init__(self, rounds: list[list[dict[str, Any]]], step: int, answers: Any) -> None:
        self._tokens = [sum(len(row["ids"]) for row in rows) for rows in rounds]
        self._steps = [len(rows) // step for rows in rounds]
        self._answers = answers
        self._round = 0
        self._done = 0
        self._begun = 0.0
        self.positions = 0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """The batch is made by now, and is small beside what is made of it."""
        if self._done == 0:
            sys.stdin.readline()
            self.positions, self._begun = 0, time.monotonic()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self._done += 1
        if self._done < self._steps[self._round]:
            return
        taken = {
            "tokens": self._tokens[self._round],
            "positions": self.positions,
            "seconds": time.monotonic() - self._begun,
        }
        self._answers.write(json.dumps(taken) + "\n")
        self._answers.flush()
        self._round, self._done = self._round + 1, 0


def main(path: str) -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    order = json.loads(Path(path).read_bytes())
    recipe, rounds = order["recipe"], order["rounds"]
    step = order["batch"] * order["accumulate"]
    callback = Rounds(rounds, step, answers)
    rows = [row for rows in rounds for row in rows]
    data = Dataset.from_list([{"input_ids": row["ids"], "labels": _labels(row)} for row in rows])
    torch.manual_seed(recipe["seed"])
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(order["base"], dtype=torch.float32),
        args=SFTConfig(
            output_dir=str(Path(path).parent / "trl"),
            per_device_train_batch_size=order["batch"],
            gradient_accumulation_steps=order["accumulate"],
            max_steps=len(rows) // step,
            learning_rate=recipe["learning_rate"],
            max_grad_norm=recipe["max_grad_norm"],
            max_length=None,
            gradient_checkpointing=False,
            bf16=False,
            use_cpu=True,
            train_sampling_strategy="sequential",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=data,
        processing_class=AutoTokenizer.from_pretrained(order["base"]),
        peft_config=LoraConfig(
            r=recipe["rank"],
            lora_alpha=recipe["alpha"],
            lora_dropout=recipe["dropout"],
            target_modules=order["targets"],
            bias="none",
            task_type="CAUSAL_LM",
        ),
        callbacks=[callback],
    )

    def count(_module: Any, given: tuple[torch.Tensor]) -> None:
        callback.positions += given[0].numel()

    trainer.model.get_base_model().get_input_embeddings().register_forward_pre_hook(count)
    trainer.train()
    # Until whoever asks has looked how much memory was held.
    sys.stdin.read()


def _labels(row: dict[str, Any]) -> list[int]:
    return [id_ if weight else -100 for id_, weight in zip(row["ids"], row["weights"], strict=True)]


if __name__ == "__main__":
    main(sys.argv[1])
