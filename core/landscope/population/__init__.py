"""Populations: many small models trained at once, each with settings of its own."""

from landscope.population.lanes import Trained
from landscope.population.networks import MeanFieldNetwork, mean_field
from landscope.population.populations import Population
from landscope.population.settings import Settings, Training

__all__ = ["MeanFieldNetwork", "Population", "Settings", "Trained", "Training", "mean_field"]
