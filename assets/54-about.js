// What the drawer is asked to explain: a panel in its present view, with what it takes to have the same from Python.
landscope.about = (() => {
  const { view, run, find } = landscope;
  let asked = null;

  const question = (subject) => {
    const { step, plane, style, show } = view.state;
    asked = { subject, view: view.state[subject] ?? null, run: run.data.id, step, plane, style, show };
    return asked;
  };
  // While the drawer is open it keeps to the view that is shown.
  landscope.on("view", (changed) => {
    if (asked && changed.has(asked.subject) && find(".about-drawer [role=dialog]"))
      window.dash_clientside.set_props("asked", { data: question(asked.subject) });
  });
  return { question };
})();
