"""An optimiser that evaluates the loss itself, through a closure."""

import torch
from torch import nn

import landscope as ls

x = torch.linspace(-3, 3, 200).unsqueeze(1)
y = torch.sin(2 * x)

model = nn.Sequential(nn.Linear(1, 20), nn.Tanh(), nn.Linear(20, 1))
loss_fn = nn.MSELoss()
optimizer = torch.optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe")


def closure():
    """The loss, with its gradient."""
    optimizer.zero_grad()
    loss = loss_fn(model(x), y)
    loss.backward()
    return loss


scope = ls.watch(model, loss_fn, train=(x, y), optimizer=optimizer)
for _ in range(20):
    loss = optimizer.step(closure)
    scope.step(loss)  # once, however often the closure was called
