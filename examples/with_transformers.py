"""Hugging Face's Trainer: a callback, and nothing else."""

import tempfile

import torch
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

from landscope.live.transformers import LandscopeCallback

# Made-up sentences; the class of one is whether its first word comes again.
sentences = torch.randint(5, 40, (256, 12), generator=torch.Generator().manual_seed(0))
classes = (sentences[:, 1:] == sentences[:, :1]).any(dim=1).long()
train = [{"input_ids": words, "labels": label} for words, label in zip(sentences, classes, strict=True)]

config = BertConfig(
    vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, num_labels=2
)
with tempfile.TemporaryDirectory() as folder:
    arguments = TrainingArguments(
        folder,
        max_steps=24,
        per_device_train_batch_size=16,
        gradient_accumulation_steps=2,
        learning_rate=1e-3,
        logging_steps=1,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
    )
    trainer = Trainer(
        BertForSequenceClassification(config),
        arguments,
        train_dataset=train,
        callbacks=[LandscopeCallback(cross_entropy)],
    )
    trainer.train()
