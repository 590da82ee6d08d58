// Which run the shown one branched from, and in which it goes on: links in the header.
landscope.kin = (() => {
  const { run, view, find, element, format } = landscope;
  let shown = "";

  const children = () => {
    const found = new Map(
      landscope.runs
        .all()
        .filter(({ parent }) => parent?.run === run.data.id)
        .map(({ id, parent }) => [id, parent.step]),
    );
    landscope.controls.state.branches.forEach(({ data }) => found.set(data.run, data.step));
    return [...found];
  };
  const lead = (link, id) => ["href", "data-route"].forEach((name) => link.setAttribute(name, view.addressOf(id)));
  const link = (id) => {
    const made = element("a", { text: id });
    lead(made, id);
    return made;
  };
  const show = () => {
    const place = find("#kin");
    if (!place) return;
    const parent = landscope.plan.manifest()?.parent,
      branches = children();
    place.hidden = view.state.run === null || !(parent || branches.length);
    // Where links lead changes with the view; a link that were made anew meanwhile would lose the click on it.
    const key = JSON.stringify([parent, branches]);
    if (key === shown) {
      place.querySelectorAll("a").forEach((known) => lead(known, known.textContent));
      return;
    }
    shown = key;
    const parts = [];
    if (parent) parts.push("branched from ", link(parent.run), ` at step ${format.whole(parent.step)}`);
    branches.forEach(([id, step], index) =>
      parts.push(index ? ", " : `${parts.length ? " · " : ""}goes on in `, link(id), ` from step ${format.whole(step)}`),
    );
    place.replaceChildren(...parts);
    place.title = place.textContent;
  };
  ["plan", "runs", "data", "run", "route", "view"].forEach((event) => landscope.on(event, show));
  return { show };
})();
