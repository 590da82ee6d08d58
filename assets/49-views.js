// The choice between the views of a panel, among those that the shown run has or will have. Few stand side by side, in
// a control of Dash's; of more, one is picked from a list.
landscope.views = (() => {
  const { view, find, element, plan } = landscope;
  const offered = new Map(); // panel's name -> { place, select, key }

  const several = (panels) => panels.filter(({ views }) => views.length > 1);
  const controlOf = (panel) => `view-${panel.name}`;
  const choices = (panels) =>
    Object.fromEntries(several(panels).map(({ name, views }) => [name, views.map((one) => one.name)]));

  // The first view is what the panel is about; it says itself when there is nothing to see.
  const available = ({ name, views }) =>
    views.filter(
      (one, index) =>
        index === 0 ||
        one.name === view.state[name] ||
        plan.expects([...one.frames, ...one.probes]) ||
        (!one.drawer && !landscope.series.empty(one)),
    );
  const offer = (panel) => {
    const known = offered.get(panel.name),
      found = available(panel);
    const key = found.map(({ name }) => name).join();
    if (key !== known.key) {
      known.key = key;
      known.place.hidden = found.length < 2;
      if (known.select)
        known.select.replaceChildren(...found.map(({ name, label }) => element("option", { value: name, text: label })));
      else
        window.dash_clientside.set_props(controlOf(panel), {
          data: found.map(({ name, label }) => ({ value: name, label })),
        });
    }
    if (known.select) known.select.value = view.state[panel.name];
  };
  // Returns the controls of Dash's, as pairs of id and key in the address.
  const mount = (panels) => {
    several(panels).forEach((panel) => {
      const place = find(`[data-views="${panel.name}"]`);
      const known = { place, select: null, key: null };
      if (!place.firstElementChild) {
        const title = find(`#title-${panel.name}`).textContent;
        known.select = element("select", { className: "select", "aria-label": `View: ${title}` });
        known.select.addEventListener("change", () => view.set({ [panel.name]: known.select.value }));
        place.append(known.select);
      }
      offered.set(panel.name, known);
    });
    ["data", "view", "plan", "route"].forEach((event) => landscope.on(event, () => several(panels).forEach(offer)));
    return several(panels)
      .filter(({ name }) => !offered.get(name).select)
      .map((panel) => [controlOf(panel), panel.name]);
  };
  return { mount, choices };
})();
