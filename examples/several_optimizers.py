"""A generative adversarial network: two networks, two optimisers, two scopes. And one network with two optimisers."""

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

import landscope as ls

real = torch.randn(512, 2) @ torch.tensor([[1.0, 0.8], [0.0, 0.3]]) + 2
noise = torch.randn(512, 4)
ones, zeros = torch.ones(512, 1), torch.zeros(512, 1)

generator = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))
critic = nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
of_generator = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.9))
of_critic = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.5, 0.9))


def fooled(fakes, target):
    """The generator's loss, against the critic of the moment."""
    return binary_cross_entropy_with_logits(critic(fakes), target)


scope = ls.watch(generator, fooled, train=(noise, ones), optimizer=of_generator, name="generator")
examples = torch.cat([real, generator(noise).detach()]), torch.cat([ones, zeros])
critic_scope = ls.watch(
    critic, binary_cross_entropy_with_logits, train=examples, optimizer=of_critic, name="critic"
)  # on the fakes of the beginning
for _ in range(30):
    of_critic.zero_grad()
    inputs = torch.cat([real, generator(noise).detach()])
    loss = binary_cross_entropy_with_logits(critic(inputs), torch.cat([ones, zeros]))
    loss.backward()
    of_critic.step()
    critic_scope.step(loss)

    of_generator.zero_grad()
    loss = fooled(generator(noise), ones)
    loss.backward()
    of_generator.step()
    scope.step(loss)

# One network whose parts have optimisers of their own: its sharpness is that of both steps taken together.
x, y = torch.randn(300, 8), torch.randint(3, (300,))
model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3))
optimizers = [torch.optim.AdamW(model[0].parameters(), lr=1e-3), torch.optim.SGD(model[2].parameters(), lr=0.1)]
scope = ls.watch(model, cross_entropy, train=(x, y), optimizer=optimizers, name="encoder and head")
for _ in range(30):
    model.zero_grad()
    loss = cross_entropy(model(x), y)
    loss.backward()
    for optimizer in optimizers:
        optimizer.step()
    scope.step(loss)
