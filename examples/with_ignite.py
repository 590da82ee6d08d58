"""Ignite: a handler, and nothing else."""

import torch
from ignite.engine import create_supervised_trainer
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from landscope.live.ignite import LandscopeHandler

pixels, digits = load_digits(return_X_y=True)
train = TensorDataset(torch.tensor(pixels / 16).float(), torch.tensor(digits))

model = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

trainer = create_supervised_trainer(model, optimizer, loss_fn, gradient_accumulation_steps=2)
LandscopeHandler(model, loss_fn, train, optimizer=optimizer).attach(trainer)
trainer.run(DataLoader(train, batch_size=64, shuffle=True), max_epochs=2)
