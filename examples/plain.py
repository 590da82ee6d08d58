"""A plain loop on handwritten digits: two lines of Landscope."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import landscope as ls

pixels, digits = load_digits(return_X_y=True)
x, y = torch.tensor(pixels / 16).float(), torch.tensor(digits)
train, test = TensorDataset(x[:1500], y[:1500]), TensorDataset(x[1500:], y[1500:])

model = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.2, epochs=5, steps_per_epoch=24)

scope = ls.watch(model, loss_fn, train=train, test=test, optimizer=optimizer)  # line one
for _ in range(5):
    for inputs, labels in DataLoader(train, batch_size=64, shuffle=True):
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), labels)
        loss.backward()
        optimizer.step()
        scheduler.step()
        scope.step(loss)  # line two
