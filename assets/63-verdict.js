// What the paper behind a recipe claims, and what became of it in this run.
landscope.verdict = (() => {
  const { view, run, find, element } = landscope;
  let recipes = {}, // name -> { claim, paper, reference }
    drawn = "";

  const pill = (outcome) => {
    const made = element("span", { className: "pill outcome", text: outcome });
    made.dataset.outcome = outcome;
    return made;
  };
  const pending = () => {
    const over = run.data.head && !["running", "paused"].includes(run.data.head.status);
    return over ? "This run was not judged." : "It is judged by what was recorded, when it has ended.";
  };
  const body = (event) => {
    const claims = event?.data?.claims || [];
    if (!claims.length) return element("p", { className: "words", text: event ? event.text : pending() });
    const rows = claims.map(({ text, measured, outcome }) =>
      element("li", {}, [
        pill(outcome),
        element("span", { text: `${text} ` }, [element("span", { className: "measured", text: measured })]),
      ]),
    );
    return element("ul", { className: "claims" }, rows);
  };
  // To the run as it was recorded once, beside this one.
  const lead = (recipe, manifest) => {
    const link = find("#claim-reference");
    link.hidden = !recipe?.reference;
    if (recipe?.reference)
      link.setAttribute("href", `/compare?runs=${encodeURIComponent(manifest.id)},reference:${manifest.recipe}`);
  };
  const show = () => {
    const place = find("#claim"),
      manifest = landscope.plan.manifest();
    if (!place) return;
    const recipe = recipes[manifest?.recipe],
      event = run.newestEvent("verdict", Infinity);
    const key = JSON.stringify([run.data.id, manifest?.recipe, event?.seq, event ? "" : pending()]);
    if (key === drawn) return;
    const another = !drawn.startsWith(JSON.stringify([run.data.id, manifest?.recipe]).slice(0, -1));
    drawn = key;
    place.hidden = !recipe;
    lead(recipe, manifest);
    if (!recipe) return;
    const summary = element("summary", {}, [
      element("span", { className: "claimed", text: recipe.claim }),
      element("span", { className: "paper", text: recipe.paper }),
      ...(event?.data?.outcome ? [pill(event.data.outcome)] : []),
    ]);
    place.replaceChildren(summary, body(event));
    if (another) place.open = Boolean(manifest.panels?.study);
  };
  const mount = (known) => {
    recipes = known;
    show();
  };
  ["data", "plan", "run", "head"].forEach((event) => landscope.on(event, show));
  landscope.on("route", () => {
    if (view.state.run === null) drawn = "";
  });
  return { mount, pill };
})();
