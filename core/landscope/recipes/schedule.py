"""Learning-rate schedules: one small language model under three, a convex bound, and a law that foretells the third."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from landscope.dynamics import (
    constant_schedule,
    cosine_schedule,
    fit_annealing_law_jointly,
    fit_power_law,
    forecast,
    schedule_bound,
    score_forecast,
    wsd_schedule,
)
from landscope.measurements import Chart, Forecast
from landscope.recipes.charts import lines
from landscope.recipes.claims import Claim, claim
from landscope.recipes.descent import device
from landscope.recipes.settings import Configuration, knob
from landscope.recipes.studies import Study, exhibited
from landscope.runs import Run

__all__ = ["FULL", "Config", "judge", "picture", "train"]

SCHEDULES = ("constant", "cosine", "warm-up, stable, decay")
_CONTEXT = 32
_HEADS = 4
_HELD_OUT = 256
_LOOKS = 100
_WARM_UP = 0.05
_SKIPPED = 0.1  # of the steps: no law is asked about the warm-up
_CLOSE = 0.01


@dataclass(frozen=True)
class Config(Configuration):
    """Settings of the recipe."""

    steps: int = knob(1500, 100, 100_000, "Steps of each of the three trainings.", log=True)
    lr: float = knob(0.025, 1e-4, 0.1, "Highest learning rate of Adam.", log=True)
    cooldown: float = knob(0.2, 0.05, 0.9, "Share of the steps in which the third schedule falls to nothing.")
    head: int = knob(8, 2, 128, "Width of each of the transformer's 4 heads.", log=True)
    layers: int = knob(1, 1, 12, "Its layers.")
    batch_size: int = knob(32, 1, 1024, "Windows of 32 characters in a step.", log=True)
    seed: int = knob(0, 0, 10_000, "Of the initialisation and the order, which the three have in common.")


FULL = Config(steps=20_000, lr=0.001, head=64, layers=6, batch_size=128)


class CharacterTransformer(nn.Module):
    """A causal transformer: what comes next, at every place of a window of characters.

    Args:
        characters: How many there are.
        width: Of the residual stream.
        layers: Blocks of attention and a GELU network of four times the width, each on a normalised stream.
    """

    def __init__(self, characters: int, width: int, layers: int) -> None:
        super().__init__()
        self.characters, self.places = nn.Embedding(characters, width), nn.Embedding(_CONTEXT, width)
        block = nn.TransformerEncoderLayer(width, _HEADS, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(block, layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.readout = nn.Linear(width, characters)

    def forward(self, windows: Tensor) -> Tensor:
        """Logits (n, characters, T) of the character after each of those in the windows (n, T)."""
        stream = self.characters(windows) + self.places.weight[: windows.shape[1]]
        mask = nn.Transformer.generate_square_subsequent_mask(windows.shape[1], device=windows.device)
        logits: Tensor = self.readout(self.blocks(stream, mask, is_causal=True)).mT
        return logits


def documentation() -> tuple[Tensor, int]:
    """The help on Python's syntax that comes with it, as numbers (n,) of its characters, and how many these are."""
    text = "\n".join(topics[name] for name in sorted(topics))
    known = sorted(set(text))
    numbers = {character: number for number, character in enumerate(known)}
    return torch.tensor([numbers[character] for character in text]), len(known)


def windows() -> tuple[Tensor, Tensor, int]:
    """Windows (n, 33) of the text to train on, those held out, and the number of characters."""
    text, characters = documentation()
    count = len(text) // (_CONTEXT + 1)
    cut = text[: count * (_CONTEXT + 1)].view(count, _CONTEXT + 1)
    cut = cut[torch.randperm(count, generator=torch.Generator().manual_seed(0))]
    return cut[_HELD_OUT:], cut[:_HELD_OUT], characters


def factors(config: Config) -> dict[str, np.ndarray]:
    """The three schedules, (steps,) each, with 1 as their highest rate."""
    warm = int(_WARM_UP * config.steps)
    schedules = (
        constant_schedule(config.steps, warmup=warm),
        cosine_schedule(config.steps, warmup=warm),
        wsd_schedule(config.steps, cooldown=config.cooldown, warmup=warm),
    )
    return dict(zip(SCHEDULES, schedules, strict=True))


def train(config: Config, runs: Path) -> Path:
    """Trains the three side by side on the same batches; returns the folder of the study."""
    torch.set_num_threads(1)  # the matrices are small: a second thread costs more than it brings
    data, held_out, characters = windows()
    data, held_out = data.to(device()), held_out.to(device())
    schedules = factors(config)
    models, optimisers = {}, {}
    for name in SCHEDULES:
        torch.manual_seed(config.seed)
        models[name] = CharacterTransformer(characters, _HEADS * config.head, config.layers).to(device())
        optimisers[name] = torch.optim.Adam(models[name].parameters())
    generator = torch.Generator().manual_seed(config.seed)
    every = max(config.steps // _LOOKS, 1)
    at: list[int] = []
    losses: dict[str, list[float]] = {name: [] for name in SCHEDULES}
    with Study("schedule", config, runs, total=config.steps) as study:
        _show_theory(study, config, schedules)
        while study.step < config.steps and not study.stopped:
            batch = data[torch.randint(len(data), (config.batch_size,), generator=generator).to(data.device)]
            for name, schedule in schedules.items():
                optimisers[name].param_groups[0]["lr"] = config.lr * schedule[study.step]
                optimisers[name].zero_grad()
                _loss(models[name], batch).backward()
                optimisers[name].step()
            study.advance()
            if study.step % every == 0 or study.step == config.steps:
                at.append(study.step)
                for name, model in models.items():
                    with torch.no_grad():
                        losses[name].append(float(_loss(model, held_out)))
                study.scalars({f"{name}/loss": found[-1] for name, found in losses.items()})
                if study.due():
                    _show_losses(study, at, losses)
        if study.step == config.steps:
            _show_agreement(study, config, schedules, np.array(at), losses)
            _show_forecasts(study, config, schedules, np.array(at), losses)
    return study.path


def _loss(model: nn.Module, batch: Tensor) -> Tensor:
    return cross_entropy(model(batch[:, :-1]), batch[:, 1:])


def agreement(rates: np.ndarray, losses: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The convex bound of each schedule, raised and scaled as one to come closest to the losses.

    The bound is D^2 d_t + G^2 v_t, with d and v those of D = G = 1: loss = L* + b (D^2 d + G^2 v) is linear in the
    constants L*, b D^2 and b G^2, none of which is negative, and the same for all schedules.

    Args:
        rates: (S, T) the schedules.
        losses: (S, n) of each.
        at: (n,) at which steps.

    Returns:
        (S, n) the fitted bounds.
    """
    bounds = [schedule_bound(rate) for rate in rates]
    terms = np.stack([[np.ones(len(at)), bound.distance[at - 1], bound.noise[at - 1]] for bound in bounds])
    columns = terms.transpose(0, 2, 1).reshape(-1, 3)
    unit = columns.max(axis=0)
    fitted: np.ndarray = (columns / unit) @ nnls(columns / unit, losses.reshape(-1))[0]
    return fitted.reshape(losses.shape)


def _show_theory(study: Study, config: Config, schedules: dict[str, np.ndarray]) -> None:
    steps = np.arange(1, config.steps + 1)
    study.exhibit(
        "rates",
        lines(
            "Three schedules",
            "They begin alike, and differ in how they fall.",
            ("training (steps)", "learning rate"),
            {name: (steps, config.lr * schedule) for name, schedule in schedules.items()},
        ),
    )
    study.exhibit(
        "bound",
        lines(
            "What convex theory allows",
            "Bound of Schaipp et al. on f(x_t) - f* for unit gradients and distance: it knows the schedule alone.",
            ("training (steps)", "bound on the loss above its minimum"),
            {},
            expected={name: (steps, schedule_bound(schedule).bound) for name, schedule in schedules.items()},
            y_log=True,
        ),
    )


def _show_losses(study: Study, at: list[int], losses: dict[str, list[float]]) -> None:
    study.exhibit(
        "losses",
        lines(
            "What came of them",
            "Loss on held-out text.",
            ("training (steps)", "held-out loss (nats a character)"),
            {name: (at, found) for name, found in losses.items()},
        ),
    )


def _show_agreement(
    study: Study, config: Config, schedules: dict[str, np.ndarray], at: np.ndarray, losses: dict[str, list[float]]
) -> None:
    late = at > _SKIPPED * config.steps
    measured = np.array([losses[name] for name in SCHEDULES])[:, late]
    fitted = agreement(np.stack([schedules[name] for name in SCHEDULES]), measured, at[late])
    study.exhibit(
        "agreement",
        lines(
            "The bound beside the losses",
            "Raised and scaled by three constants that all schedules share.",
            ("training (steps)", "held-out loss (nats a character)"),
            {name: (at[late], loss) for name, loss in zip(SCHEDULES, measured, strict=True)},
            expected={f"bound, {name}": (at[late], bound) for name, bound in zip(SCHEDULES, fitted, strict=True)},
        ),
    )


def _show_forecasts(
    study: Study, config: Config, schedules: dict[str, np.ndarray], at: np.ndarray, losses: dict[str, list[float]]
) -> None:
    """The annealing law of the first two schedules on the third; and a power law from before its cooldown."""
    *known, new = SCHEDULES
    # Annealing is felt for a twentieth of the training: 1,000 steps of some 20,000 in Tissue et al.
    law = fit_annealing_law_jointly(
        [(at, losses[name], config.lr * schedules[name]) for name in known],
        skip=_SKIPPED,
        memory=max(1 - 20 / config.steps, 0.0),
    )
    whole = forecast(law, config.steps, config.lr * schedules[new], first=int(_SKIPPED * config.steps) + 1)
    scored = score_forecast(whole, at, losses[new])
    study.exhibit(
        "forecast",
        scored,
        "A schedule foretold by two others",
        "The annealing law, fitted to the constant and the cosine schedule, on the third from its warm-up on.",
    )
    begun = int((1 - config.cooldown) * config.steps)
    early = at <= begun
    blind = forecast(fit_power_law(at[early], np.array(losses[new])[early]), config.steps)
    cooling = at[~early]
    study.exhibit(
        "cooldown",
        lines(
            "The cooldown",
            "The same law, and a power law of the third schedule's own losses up to here, which knows no rates.",
            ("training (steps)", "held-out loss (nats a character)"),
            {new: (cooling, np.array(losses[new])[~early])},
            expected={
                "annealing law": (cooling, np.interp(cooling, whole.steps, whole.expected)),
                "power law": (cooling, np.interp(cooling, blind.steps, blind.expected)),
            },
        ),
    )


def picture(run: Run) -> Chart:
    """The losses of the three."""
    return exhibited(run, "losses", Chart)


def judge(run: Run) -> list[Claim]:
    """Whether the bound has the order and the shape of the losses, and the law foretells the third schedule."""
    losses = {name: loss[-1] for name, loss in exhibited(run, "losses", Chart).y.items()}
    shown = exhibited(run, "agreement", Chart).y
    measured, fitted = (np.stack([shown[prefix + name] for name in SCHEDULES]) for prefix in ("", "bound, "))
    explained = 1 - float(((measured - fitted) ** 2).sum() / ((measured - measured.mean()) ** 2).sum())
    order, expected = np.argsort(measured[:, -1]), np.argsort(fitted[:, -1])
    told = exhibited(run, "forecast", Forecast)
    error, coverage = told.error, told.coverage
    assert error is not None
    assert coverage is not None
    cooling = exhibited(run, "cooldown", Chart).y
    came = cooling[SCHEDULES[2]]
    law, power = (float(np.abs(cooling[name] / came - 1).mean()) for name in ("annealing law", "power law"))
    gains = [float(losses["constant"] - losses[name]) for name in SCHEDULES[1:]]
    return [
        claim(
            "Schedules that fall to nothing end below the constant one.",
            f"cosine by {gains[0]:.3f}, stable and decay by {gains[1]:.3f} nats",
            holds=min(gains) > 0,
            partly=max(gains) > 0,
        ),
        claim(
            "The convex bound has the shape of the losses: with three constants for all schedules it explains nine "
            "tenths of their variance, and orders the three at the end as they came.",
            f"{explained:.1%} of the variance; lowest first {_listed(order)}, by the bound {_listed(expected)}",
            holds=explained >= 0.9 and bool((order == expected).all()),
            partly=explained >= 0.9 or bool((order == expected).all()),
        ),
        claim(
            "The annealing law of the constant and the cosine schedule foretells the third within 1 % on average.",
            f"off by {error:.2%}, {coverage:.0%} of it within two standard errors",
            holds=error < _CLOSE,
            partly=error < 2 * _CLOSE,
        ),
        claim(
            "In the cooldown it errs less than half as much as a power law of the losses before, which knows no rates.",
            f"{law:.2%} against {power:.2%}",
            holds=law < 0.5 * power,
            partly=law < power,
        ),
    ]


def _listed(order: np.ndarray) -> str:
    return ", ".join(SCHEDULES[index].partition(",")[0] for index in order)
