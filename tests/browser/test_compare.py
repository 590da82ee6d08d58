from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from landscope.runs import RunWriter, list_runs
from tests.browser.conftest import until

pytestmark = pytest.mark.browser

PICTURES = ("curves", "curve_difference", "planes", "difference", "densities", "kernels", "embeddings")
DRAWN = "(() => document.querySelector('[data-graph=%s]').data?.length > 0)()"


def go(page: Page, path: str) -> None:
    """As a link of the page does, which is quicker than loading it anew."""
    page.evaluate("path => landscope.view.go(path)", path)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five short runs of a made-up training that differ by their learning rate and their seed."""
    made = tmp_path_factory.mktemp("several")
    for number, (lr, seed) in enumerate([(0.1, 0), (0.1, 1), (0.2, 0), (0.3, 0), (0.4, 0)]):
        with RunWriter.create(made, name=f"run {number}", recipe="toy", config={"lr": lr, "seed": seed}) as run:
            for step in range(20):
                run.scalars(step, {"train/loss": 2.0 + seed - lr * step})
            run.progress(19, 20)
    return made


def test_ticked_runs_are_compared_and_the_address_holds_what_is_shown(
    listing: str, recorded: Path, visit: Callable
) -> None:
    page, watcher = visit(f"{listing}/")
    compare = page.locator("#runs-compare")
    boxes = page.locator("#runs-body input[type=checkbox]")
    boxes.nth(0).check()
    expect(compare).to_be_disabled()
    boxes.nth(1).check()
    expect(compare).to_have_text("Compare 2")
    compare.click()
    page.wait_for_url("**/compare?runs=*")
    newest = [run.id for run in list_runs(recorded)]
    assert page.url.endswith(f"/compare?runs={','.join(newest)}")
    expect(page.locator("#compare-table thead a")).to_have_count(2)
    for picture in PICTURES:
        page.locator(f"#compare-{picture}").scroll_into_view_if_needed()
        until(page, DRAWN % picture)
        expect(page.locator(f"[data-line={picture}]")).to_contain_text(f".{picture}(")
    assert page.evaluate("document.body.dataset.hacked") is None  # one of them is called by markup
    assert watcher.errors == []
    assert len(watcher.hosts - {""}) == 1
    ids = ",".join(newest)
    go(page, f"/compare?runs={ids}&step=130&x=log&plane=hessian&first=1&second=0")
    expect(page.locator("#compare-step")).to_contain_text("step 130 /")
    expect(page.locator("#compare-log")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("[data-select=plane] select")).to_have_value("hessian")
    expect(page.locator("#compare-difference [data-select=first] select")).to_have_value("1")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#compare-step")).to_contain_text("step 120 /")
    until(page, "location.search.includes('step=120')")
    page.keyboard.press("l")
    page.keyboard.press("f")
    until(page, f"location.search === '?runs={ids}&plane=hessian&first=1&second=0'")
    expect(page.locator("#compare-step")).to_contain_text("step 400 /")  # the last that both have reached
    slider = page.locator("#compare-slider input")
    slider.focus()
    page.keyboard.press("Home")
    expect(page.locator("#compare-step")).to_contain_text("step 0 /")
    page.locator("#compare-table thead button").first.click()
    expect(page.locator("#compare-empty")).to_be_visible()
    page.get_by_role("link", name="Other runs").click()
    expect(compare).to_have_text("Compare 1")


def test_seeds_are_a_band_and_runs_are_searched_sorted_tagged_and_thrown_away(
    root: Path, serve: Callable, visit: Callable
) -> None:
    ids = [run.id for run in list_runs(root)][::-1]
    page, watcher = visit(f"{serve(root)}/compare?runs={ids[0]},{ids[1]},{ids[2]},nobody")
    expect(page.locator("#compare-note")).to_have_text("No longer there: nobody.")
    expect(page.locator("#compare-table tr.setting").first).to_have_text("lr0.10.10.2")
    until(page, DRAWN % "curves")
    names = "[...new Set(document.querySelector('[data-graph=curves]').data.map(({ name }) => name))].join('; ')"
    assert page.evaluate(names) == "run 0, run 1, mean of 2 seeds (least to greatest); run 2"
    page.get_by_label("Runs of several seeds").select_option("no")
    until(page, f"{names} === 'run 0; run 1; run 2'")
    expect(page.locator("#compare-kernels")).to_be_hidden()
    expect(page.locator("#compare-absent")).to_contain_text("In none of these runs: loss landscapes")
    go(page, f"/compare?runs={ids[0]},reference:digits")
    heads = page.locator("#compare-table thead th")
    expect(heads).to_have_text(["run 0", "digits, reference"])
    expect(heads.locator("a")).to_have_count(1)  # a reference has no page
    expect(page.locator("#compare-table tbody td").nth(1)).to_have_text("recorded reference")
    go(page, "/?sort=name")
    names = page.locator("#runs-body a")
    expect(names).to_have_text([f"run {number}" for number in range(5)])
    page.locator("[data-sort='=lr']").click()
    page.locator("[data-sort='=lr']").click()
    expect(names.first).to_have_text("run 4")
    until(page, "location.search === '?sort=%3Dlr&order=down'")
    page.keyboard.press("/")
    page.keyboard.type("lr=0.1 toy")
    expect(names).to_have_count(2)
    expect(page.locator("#runs-note")).to_have_text("2 of 5 runs, 0 live")
    page.get_by_label("Tags and note of run 1").click()
    page.keyboard.type("odd, seeds")
    page.keyboard.press("Tab")
    page.keyboard.type("<b>look</b>")
    page.keyboard.press("Enter")
    expect(page.locator("#runs-body .tag")).to_have_text(["odd", "seeds"])
    expect(page.locator("#runs-body .note")).to_have_text("<b>look</b>")
    page.locator("#runs-body .tag", has_text="odd").click()
    expect(names).to_have_count(1)
    bin_button = page.get_by_label("Move run 1 to the trash")
    bin_button.click()
    expect(names).to_have_count(1)
    bin_button.click()
    expect(names).to_have_count(0)
    expect(page.locator("#runs-none")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(names).to_have_count(1)
    expect(page.locator("#runs-trash")).to_be_hidden()
    bin_button.click()
    bin_button.click()
    page.get_by_text("Trash (1)").click()
    page.get_by_label("Delete run 1 for good").click()  # the first press asks
    page.get_by_label("Restore run 1").click()
    expect(names).to_have_count(1)
    expect(page.locator("#runs-trash")).to_be_hidden()
    assert watcher.errors == []
