"""Views of training dynamics: gradients and weights, and what becomes of single examples and outputs."""

from __future__ import annotations

from landscope_app.views import Series, View, lines, plain_layout

__all__ = ["EXAMPLE_VIEWS", "GRADIENT_VIEWS"]

HISTORY = """record = ls.dynamics.ExampleRecord()
for step, theta in enumerate(path):  # path (T, P): earlier weights
    record.add(ls.dynamics.example_scores(objective, theta=theta).at(step))
record.history().figure()"""

FORECAST = """steps, losses = run.scalars("train/loss")
law = ls.dynamics.fit_power_law(steps[1:], losses[1:])
ls.dynamics.forecast(law, 2 * law.last).figure()"""

GRADIENT_VIEWS: tuple[View, ...] = (
    lines(
        "noise",
        "gradient noise",
        "Batches far below the noise scale make noisy steps.",
        (("batch (examples)", "auto"), ("|G| / √tr Σ", "auto")),
        series=(
            Series("gradients/noise_scale", "noise scale", "first", error="gradients/noise_scale_error"),
            Series("batch/size", "batch", "second", dash="dash", hold=True),
            Series("gradients/signal_to_noise", "signal to noise", "third", row=2),
        ),
        frames=("gradients",),
        live=("ls.dynamics.gradient_statistics(objective).figure()",),
    ),
    lines(
        "updates",
        "the updates",
        "How far a step goes, and whether it turns back.",
        (("update / weights", "log"), ("cosine of updates", "linear")),
        series=(
            Series("step/update_ratio", "‖Δθ‖ / ‖θ‖", "first"),
            Series("step/update_cosine", "with the last", "second", row=2),
        ),
        probes=("updates",),
        live=("ls.dynamics.update_path(objective, path).figure()  # path (T, P): earlier weights",),
    ),
    View(
        "conflict",
        "conflict between classes",
        "Below zero a step for one class is against the other.",
        lambda colours: plain_layout("class", "class", colours),
        drawer="conflict",
        frames=("gradients/conflict",),
        live=("ls.dynamics.gradient_conflict(ls.dynamics.by_group(objective)).figure()",),
    ),
    View(
        "weights",
        "the weights of every layer",
        "How far each parameter has come since the start.",
        lambda colours: plain_layout("distance ‖W − W₀‖ / ‖W₀‖", "parameter", colours),
        label="layers",
        drawer="weights",
        frames=("weights",),
        live=("ls.dynamics.weight_statistics(objective, start=path[0]).figure()  # path (T, P): earlier weights",),
    ),
    lines(
        "units",
        "the activity of units",
        "Units that answer every input alike.",
        (("share of units", "linear"),),
        series=(
            Series("units/dead", "dead", "first"),
            Series("units/dormant", "dormant", "second", dash="dash"),
            Series("units/saturated", "saturated", "third", dash="dot"),
        ),
        frames=("units",),
        live=("ls.dynamics.unit_activity(objective).figure()",),
    ),
    View(
        "inactive",
        "the activity of units",
        "In which layers units answer every input alike.",
        lambda colours: plain_layout("share of the layer's units", "layer", colours),
        label="units by layer",
        drawer="units",
        frames=("units",),
        live=("ls.dynamics.unit_activity(objective).figure()",),
    ),
    lines(
        "plasticity",
        "plasticity",
        "How well a copy still learns random labels.",
        (("loss, random labels", "auto"), ("λ max, true labels", "auto")),
        series=(
            Series("plasticity/loss", "reached", "first", markers=True),
            Series("plasticity/lambda_max", "λ max", "third", row=2, markers=True),
        ),
        frames=("plasticity",),
        live=("ls.dynamics.plasticity(objective).figure()",),
    ),
)

EXAMPLE_VIEWS: tuple[View, ...] = (
    View(
        "examples",
        "single examples",
        "The loss of every example, first learned on top.",
        lambda colours: plain_layout("step", "example", colours),
        drawer="learning",
        frames=("examples/history",),
        live=(HISTORY,),
    ),
    View(
        "margins",
        "the margins of single examples",
        "How surely each example is right, or wrong.",
        lambda colours: plain_layout("margin (output)", "examples", colours),
        drawer="margins",
        frames=("examples/history",),
        live=('ls.dynamics.example_scores(objective).figure(score="margins")',),
    ),
    View(
        "scores",
        "two groups of examples",
        "Losses in two groups: those that fit, and the rest.",
        lambda colours: plain_layout("loss of an example", "examples", colours),
        label="two groups",
        drawer="mixture",
        frames=("examples/mixture",),
        live=("ls.dynamics.label_noise(ls.dynamics.example_scores(objective)).figure()",),
    ),
    View(
        "calibration",
        "calibration",
        "On the diagonal, probabilities are what they say.",
        lambda colours: plain_layout("probability of the predicted class", "share that is right", colours),
        drawer="calibration",
        frames=("outputs/calibration",),
        live=("ls.dynamics.calibration(objective).figure()",),
    ),
    lines(
        "outputs",
        "the outputs",
        "How far outputs move from one frame to the next.",
        (("divergence (nats)", "log"), ("norm of outputs", "linear")),
        series=(
            Series("outputs/change/kl", "KL", "first", error="outputs/change/kl_error"),
            Series("outputs/change/logit_norm", "‖outputs‖", "third", row=2),
        ),
        frames=("outputs/change",),
        live=(
            "ls.dynamics.output_change(objective, objective.outputs(path[0])).figure()  # path (T, P): earlier weights",
        ),
    ),
    View(
        "forecast",
        "the loss ahead",
        "What a power law makes of the loss so far.",
        lambda colours: plain_layout("step", "loss", colours),
        drawer="forecast",
        frames=("forecast",),
        live=(FORECAST,),
    ),
)
