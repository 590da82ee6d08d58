"""Accelerate: the two lines as ever, after `prepare`."""

import torch
from accelerate import Accelerator
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import landscope as ls

pixels, digits = load_digits(return_X_y=True)
train = TensorDataset(torch.tensor(pixels / 16).float(), torch.tensor(digits))

accelerator = Accelerator(gradient_accumulation_steps=2, mixed_precision="bf16")
model = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
loader = DataLoader(train, batch_size=64, shuffle=True)
model, optimizer, loader = accelerator.prepare(model, optimizer, loader)

scope = None
if accelerator.is_main_process:  # what one process does is what all do
    scope = ls.watch(accelerator.unwrap_model(model), loss_fn, train=train, optimizer=optimizer)
    accelerator.register_for_checkpointing(scope)
for inputs, labels in loader:
    with accelerator.accumulate(model):
        loss = loss_fn(model(inputs), labels)
        accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
    if scope and accelerator.sync_gradients:
        scope.step(loss)
