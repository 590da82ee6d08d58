// What can be chosen in the landscape's head: the planes that a run has or will have, and the numbers on them.
landscope.planes = (() => {
  const { view, find, element } = landscope;
  const PROBE = "slice/",
    ALL = "all";
  let planes = null,
    select = null;

  const available = () => {
    const expected = (plane) => landscope.plan.expects([PROBE + plane]);
    const others = {
      [ALL]: landscope.abreast.PLANES.filter(expected).length > 1,
      asked: landscope.asked.jobs().length > 0,
    };
    return view.choices.plane.filter((plane) => (others[plane] ?? expected(plane)) || plane === view.state.plane);
  };
  const offer = () => {
    const names = available(),
      key = names.join(" ");
    if (view.state.run === null) return;
    if (planes.dataset.key !== key) {
      planes.dataset.key = key;
      planes.replaceChildren(
        ...names.map((name) => element("option", { value: name, text: name === ALL ? "all planes" : name })),
      );
    }
    planes.value = view.state.plane;
  };
  const next = () => {
    const names = available();
    view.set({ plane: names[(names.indexOf(view.state.plane) + 1) % names.length] });
  };

  // The quantities of the shown slice.
  const show = (slice) => {
    if (!select) return;
    const all = slice ? landscope.heights.quantities(slice) : [];
    find("[data-show]").hidden = all.length < 2;
    if (!slice) return;
    const key = JSON.stringify(all.map(({ key: name, label }) => [name, label]));
    if (select.dataset.key !== key) {
      select.dataset.key = key;
      select.replaceChildren(...all.map(({ key: name, label }) => element("option", { value: name, text: label })));
    }
    select.value = landscope.heights.shownOf(slice).key;
  };
  const another = () => {
    if (!select || !select.length) return;
    view.set({ show: select.options[(select.selectedIndex + 1) % select.length].value });
  };
  // Planes beside each other are maps.
  const drawings = () => {
    find("#style").hidden = view.state.plane === ALL;
  };
  const mount = () => {
    select = element("select", { className: "select", "aria-label": "Shown on the plane" });
    select.addEventListener("change", () => view.set({ show: select.value }));
    find("[data-show]").append(select);
    planes = element("select", { className: "select", "aria-label": "Plane" });
    planes.addEventListener("change", () => view.set({ plane: planes.value }));
    find("[data-planes]").append(planes);
    ["data", "view", "plan", "route"].forEach((event) => landscope.on(event, offer));
    ["view", "route"].forEach((event) => landscope.on(event, drawings));
    drawings();
  };
  return { mount, show, next, another, available };
})();
