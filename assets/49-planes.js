// What can be chosen in the landscape's head: the planes that a run has or will have, and the numbers on them.
landscope.planes = (() => {
  const { view, run, find, element, setText } = landscope;
  const PROBE = "slice/";
  let planned = { run: null, probes: [] }; // as the run's manifest names its probes
  let offered = "",
    select = null;

  const available = () => {
    const { head, frames, events } = run.data;
    const live = Boolean(head) && ["running", "paused"].includes(head.status);
    const has = (plane) => (frames.get(PROBE + plane)?.step.length || 0) > 0;
    const off = (plane) => events.some(({ kind, data }) => kind === "probe-off" && data?.probe === PROBE + plane);
    const coming = (plane) => live && planned.run === run.data.id && planned.probes.includes(PROBE + plane);
    const found = view.choices.plane.filter((plane) => has(plane) || off(plane) || coming(plane));
    return view.choices.plane.filter((plane) => found.includes(plane) || plane === view.state.plane);
  };
  const offer = () => {
    const names = available(),
      key = names.join(" ");
    if (key === offered || view.state.run === null) return;
    offered = key;
    window.dash_clientside.set_props("plane", { data: names.map((name) => ({ value: name, label: name })) });
  };
  const ask = async (id) => {
    if (id === null || planned.run === id) return;
    planned = { run: id, probes: [] };
    try {
      const { panels } = await landscope.api.manifest(id);
      if (planned.run === id && Array.isArray(panels?.probes)) planned.probes = panels.probes;
    } catch (error) {
      console.warn(`the manifest of ${id} could not be read: ${error.message}`);
    }
    offer();
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
  const mount = () => {
    select = element("select", { className: "select", "aria-label": "Shown on the plane" });
    select.addEventListener("change", () => view.set({ show: select.value }));
    find("[data-show]").append(select);
    ["data", "view"].forEach((event) =>
      landscope.on(event, () => {
        ask(run.data.id);
        offer();
      }),
    );
  };
  return { mount, show, next, another, available };
})();
