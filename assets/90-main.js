// Starts the page once Dash has made it, and joins Dash's controls to the view.
(() => {
  const { view, find } = landscope;
  let started = false, settled = false;

  const present = () => document.querySelectorAll(".panel").length > 0
    && document.querySelectorAll(".panel .js-plotly-plot .main-svg").length >= document.querySelectorAll(".panel").length;

  const route = () => {
    const onRun = view.state.run !== null;
    document.body.dataset.page = onRun ? "run" : "runs";
    find("#run-page").hidden = !onRun;
    find("#runs-page").hidden = onRun;
    document.title = onRun ? `${view.state.run} · Landscope` : "Landscope";
    controls();
    landscope.live.follow(view.state.run);
  };
  const CONTROLS = { plane: "plane", style: "style", "x-scale": "x" };
  const controls = () => Object.entries(CONTROLS).forEach(([id, key]) => window.dash_clientside.set_props(id, { value: view.state[key] }));

  const start = (definitions) => {
    landscope.panels.mount(definitions);
    landscope.timebar.mount();
    landscope.header.mount();
    landscope.keyboard.mount();
    landscope.theme.apply();
    landscope.on("route", route);
    landscope.on("view", controls);
    route();
    landscope.runs.mount();
    // Dash may still report the values that controls were made with; what the address says comes first.
    setTimeout(() => { settled = true; }, 0);
    document.body.dataset.ready = "true";
  };
  const whenPresent = (then) => { if (present()) then(); else requestAnimationFrame(() => whenPresent(then)); };

  window.dash_clientside.landscope = {
    boot: (page) => {
      if (!started) {
        started = true;
        landscope.looks = page.themes;
        landscope.sceneBase = page.scene;
        whenPresent(() => start(page.panels));
      }
      return window.dash_clientside.no_update;
    },
    choose: (value, id) => {
      if (!settled || value === null || value === undefined) return;
      if (id === "run-picker") { if (value !== landscope.run.data.id) view.go(`/run/${encodeURIComponent(value)}`); }
      else view.set({ [CONTROLS[id]]: value });
    },
  };
})();
