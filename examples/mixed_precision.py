"""Gradient accumulation, mixed precision with a scaler, and gradient clipping."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import landscope as ls

ACCUMULATED = 4
device = "cuda" if torch.cuda.is_available() else "cpu"

pixels, digits = load_digits(return_X_y=True)
train = TensorDataset(torch.tensor(pixels / 16).float(), torch.tensor(digits))

model = nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 10)).to(device)
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
scaler = torch.amp.GradScaler(device)

scope = ls.watch(model, loss_fn, train=train, optimizer=optimizer)
for _ in range(3):
    for number, (inputs, labels) in enumerate(DataLoader(train, batch_size=32, shuffle=True), start=1):
        with torch.autocast(device, torch.float16 if device == "cuda" else torch.bfloat16):
            loss = loss_fn(model(inputs.to(device)), labels.to(device))
        scaler.scale(loss / ACCUMULATED).backward()
        if number % ACCUMULATED == 0:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)  # skips the step where gradients overflow, and so does the scope
            scaler.update()
            optimizer.zero_grad()
            scope.step(loss)  # once for each step of the optimiser; the loss as it is, not scaled
