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
  const link = (id) => {
    const path = view.addressOf(id);
    return element("a", { text: id, href: path, "data-route": path });
  };
  const show = () => {
    const place = find("#kin");
    if (!place) return;
    const parent = landscope.plan.manifest()?.parent,
      branches = children();
    const key = JSON.stringify([view.state.run, view.addressOf(""), parent, branches]);
    if (key === shown) return;
    shown = key;
    const parts = [];
    if (parent) parts.push("branched from ", link(parent.run), ` at step ${format.whole(parent.step)}`);
    branches.forEach(([id, step], index) =>
      parts.push(index ? ", " : `${parts.length ? " · " : ""}goes on in `, link(id), ` from step ${format.whole(step)}`),
    );
    place.replaceChildren(...parts);
    place.title = place.textContent;
    place.hidden = view.state.run === null || !parts.length;
  };
  ["plan", "runs", "data", "run", "route", "view"].forEach((event) => landscope.on(event, show));
  return { show };
})();
