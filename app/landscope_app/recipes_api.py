"""Recipes, at addresses of the api: their settings, what they drew when they were last checked, and their start."""

from __future__ import annotations

from flask import Blueprint, Response, abort, current_app, jsonify, request

from landscope.figures import figure
from landscope.recipes.catalogue import CATALOGUE
from landscope.recipes.pictures import kept_picture
from landscope.recipes.records import read_settings
from landscope_app.addresses import RECIPES, writable

__all__ = ["recipes"]

recipes = Blueprint("recipes", __name__, url_prefix="/recipes")


@recipes.get("")
def get_recipes() -> Response:
    """The settings of every recipe."""
    return jsonify(settings=read_settings())


@recipes.get("/<name>/picture")
def get_recipe_picture(name: str) -> Response:
    """What a recipe drew when it was last checked, as a plotly figure; null where there is none."""
    if name not in CATALOGUE:
        abort(404, description=f"there is no recipe {name!r}")
    kept = kept_picture(name)
    drawn = "null" if kept is None else figure(kept, dark=request.args.get("theme") == "dark").to_json()
    return Response(f'{{"figure": {drawn}}}', mimetype="application/json")


@recipes.post("/<name>")
def post_recipe(name: str) -> Response:
    """Start a recipe; its run is told when it has begun."""
    writable()
    body = request.get_json()
    settings = body.get("settings", {}) if isinstance(body, dict) else None
    if not isinstance(settings, dict):
        abort(400, description="settings must be an object of numbers and names")
    try:
        run = current_app.config[RECIPES].start(name, settings)
    except ValueError as error:
        abort(400, description=str(error))
    except RuntimeError as error:
        abort(409, description=str(error))
    return jsonify(run=run)
