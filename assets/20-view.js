// What the page shows: route, chosen step and settings, all of it in the address.
landscope.view = (() => {
  const CHOICES = {
    plane: ["trajectory", "random", "hessian", "gradient", "all", "asked"],
    style: ["contour", "surface"],
    x: ["linear", "log"],
    colour: ["class", "prediction", "correct", "loss", "margin", "learned"],
    bins: ["15", "5", "10", "20", "30", "50"],
    dock: ["none", "control", "lab"],
    speed: ["1", "2", "4", "8", "0.25", "0.5"],
  };
  const PAGES = ["recipes", "compare"]; // beside that of a run and the list of runs
  const SHOW = "loss"; // metrics have any name, so `show` is no closed choice
  const MOST = 200; // selected examples that the address holds; a larger selection lasts as long as the page
  const state = { run: null, step: null, plane: "trajectory", style: "contour", show: SHOW, x: "linear", chosen: "" };
  // Names and numbers, which are no closed choices either: what is to be measured, where on a plane, the open picture,
  // the job whose plane is shown, the stop of a lesson, two pinned steps, the panels in their order, whether another page shows this one in a frame,
  // and a drawn learning rate.
  const OPEN = {
    measure: /^[a-z0-9_-]{1,40}$/,
    job: /^\d{1,15}$/,
    lesson: /^\d{1,2}$/,
    asked: /^\d{1,15}$/,
    at: /^\d{1,15}(,-?\d{1,12}(\.\d{1,20})?(e[+-]?\d{1,3})?){2}$/,
    a: /^\d{1,12}$/,
    b: /^\d{1,12}$/,
    panels: /^[a-z,]{1,200}$/,
    embed: /^1$/,
    whatif: /^[\d.e,-]{3,400}$/,
  };
  // What another run has no use for.
  const OF_ONE_RUN = { step: null, job: "", asked: "", at: "", lesson: "", a: "", b: "", whatif: "" };

  const read = () => {
    const match = location.pathname.match(/^\/run\/([^/]+)\/?$/);
    const query = new URLSearchParams(location.search);
    const step = query.get("step");
    state.run = match ? decodeURIComponent(match[1]) : null;
    state.page = match ? "run" : PAGES.find((page) => location.pathname === `/${page}`) || "runs";
    state.step = step !== null && /^\d+$/.test(step) ? Number(step) : null;
    Object.entries(CHOICES).forEach(([key, values]) => {
      state[key] = values.includes(query.get(key)) ? query.get(key) : values[0];
    });
    state.show = query.get("show") || SHOW;
    Object.entries(OPEN).forEach(([key, form]) => {
      state[key] = form.test(query.get(key) ?? "") ? query.get(key) : "";
    });
    state.chosen = /^\d+(,\d+)*$/.test(query.get("chosen")) ? query.get("chosen") : "";
  };
  const search = (others = {}) => {
    const query = new URLSearchParams(),
      shown = { ...state, ...others };
    if (shown.step !== null) query.set("step", String(shown.step));
    Object.entries(CHOICES).forEach(([key, values]) => {
      if (state[key] !== values[0]) query.set(key, state[key]);
    });
    if (state.show !== SHOW) query.set("show", state.show);
    Object.keys(OPEN).forEach((key) => {
      if (shown[key]) query.set(key, shown[key]);
    });
    if (state.chosen && state.chosen.split(",").length <= MOST) query.set("chosen", state.chosen);
    const text = query.toString().replaceAll("%2C", ",");
    return text ? `?${text}` : "";
  };
  // Another run in the same view, at its newest step.
  const addressOf = (run) => `/run/${encodeURIComponent(run)}${search(OF_ONE_RUN)}`;
  // Browsers refuse more than some 100 changes of the address in half a minute, so dragging writes it at its end.
  let pending = null;
  const write = () => {
    clearTimeout(pending);
    pending = setTimeout(() => {
      if (state.run !== null) history.replaceState(history.state, "", location.pathname + search());
    }, 200);
  };
  const set = (changes) => {
    const changed = Object.keys(changes).filter((key) => state[key] !== changes[key]);
    if (!changed.length) return;
    Object.assign(state, changes);
    write();
    landscope.emit("view", new Set(changed));
  };
  const go = (path) => {
    clearTimeout(pending);
    history.pushState(null, "", path);
    read();
    landscope.emit("route", state.run);
  };
  window.addEventListener("popstate", () => {
    clearTimeout(pending);
    read();
    landscope.emit("route", state.run);
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-route]");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    go(link.getAttribute("href"));
  });
  // Further choices, as { key: [values, the usual one first] }.
  const declare = (choices) => {
    Object.assign(CHOICES, choices);
    read();
  };
  read();
  return { state, set, go, addressOf, declare, choices: CHOICES, following: () => state.step === null };
})();
