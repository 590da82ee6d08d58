"""What is cheap enough for every step, and what it means."""

from landscope.dynamics.calibrated import calibration
from landscope.dynamics.conflict import gradient_conflict
from landscope.dynamics.diagnosis import Phase, Timeline, diagnose, findings
from landscope.dynamics.every_step import StepMonitor, StepReadings
from landscope.dynamics.example_gradients import example_grams
from landscope.dynamics.example_record import ExampleRecord, learning_order
from landscope.dynamics.example_scores import example_scores
from landscope.dynamics.generalisation import gap_change
from landscope.dynamics.gradient_noise import gradient_statistics, two_batch_estimates
from landscope.dynamics.groups import by_group
from landscope.dynamics.label_noise import label_noise
from landscope.dynamics.learning_coefficient import calibrate_learning_coefficient, local_learning_coefficient
from landscope.dynamics.lengths import Norms, norms
from landscope.dynamics.output_changes import output_change, prediction_flips
from landscope.dynamics.penalties import spectral_penalty, wasserstein_penalty
from landscope.dynamics.probe_tasks import plasticity
from landscope.dynamics.rules import RULES
from landscope.dynamics.schedules import (
    constant_schedule,
    cosine_schedule,
    linear_schedule,
    schedule_bound,
    wsd_schedule,
)
from landscope.dynamics.seeds import seed_bands, seed_variance
from landscope.dynamics.series import History, Series
from landscope.dynamics.states import Finding, Rule
from landscope.dynamics.units import unit_activity
from landscope.dynamics.updates import update_path
from landscope.dynamics.weight_matrices import weight_statistics
from landscope.loss_laws import (
    annealing_areas,
    fit_annealing_law,
    fit_annealing_law_jointly,
    fit_power_law,
    forecast,
    score_forecast,
)

__all__ = [
    "RULES",
    "ExampleRecord",
    "Finding",
    "History",
    "Norms",
    "Phase",
    "Rule",
    "Series",
    "StepMonitor",
    "StepReadings",
    "Timeline",
    "annealing_areas",
    "by_group",
    "calibrate_learning_coefficient",
    "calibration",
    "constant_schedule",
    "cosine_schedule",
    "diagnose",
    "example_grams",
    "example_scores",
    "findings",
    "fit_annealing_law",
    "fit_annealing_law_jointly",
    "fit_power_law",
    "forecast",
    "gap_change",
    "gradient_conflict",
    "gradient_statistics",
    "label_noise",
    "learning_order",
    "linear_schedule",
    "local_learning_coefficient",
    "norms",
    "output_change",
    "plasticity",
    "prediction_flips",
    "schedule_bound",
    "score_forecast",
    "seed_bands",
    "seed_variance",
    "spectral_penalty",
    "two_batch_estimates",
    "unit_activity",
    "update_path",
    "wasserstein_penalty",
    "weight_statistics",
    "wsd_schedule",
]
