// Starts the page once Dash has made it, and joins Dash's controls to the view.
(() => {
  const { view, find } = landscope;
  let started = false,
    settled = false,
    readOnlyServer = false;

  const present = (definitions) => window.Plotly && definitions.every(({ name }) => find(`#graph-${name} > div`));

  const route = () => {
    const { page, run } = view.state;
    document.body.dataset.page = page;
    document.querySelectorAll("[data-shown-on]").forEach((part) => {
      part.hidden = part.dataset.shownOn !== page;
    });
    document.querySelectorAll(".page-header a[data-route]").forEach((link) => {
      if (link.getAttribute("href") === location.pathname) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    });
    const place = { run, recipes: "Recipes", compare: "Compare" }[page];
    document.title = place ? `${place} · Landscope` : "Landscope";
    controls();
    visit(page);
    landscope.live.follow(view.state.run);
  };
  const CONTROLS = { style: "style", "x-scale": "x" };
  const controls = (changed) =>
    Object.entries(CONTROLS).forEach(([id, key]) => {
      if (!changed || changed.has(key)) window.dash_clientside.set_props(id, { value: view.state[key] });
    });

  // Pages that Dash makes when they are first visited.
  const LATER = { recipes: () => landscope.recipes.mount(readOnlyServer), compare: () => landscope.comparePage.mount() };
  const visited = new Set();
  const visit = (page) => {
    if (!LATER[page] || visited.has(page)) return;
    visited.add(page);
    window.dash_clientside.set_props("visited", { data: page });
    const whenMade = () => (find(`#${page}-page`).childElementCount ? LATER[page]() : setTimeout(whenMade, 20));
    whenMade();
  };

  const start = ({ panels: definitions, docks, steering, laboratory, recipes, lessons, tables, readOnly }) => {
    readOnlyServer = readOnly;
    landscope.checks.mount();
    landscope.planes.mount();
    landscope.panels.mount(definitions);
    landscope.points.mount();
    landscope.drawers.learning.mount(find("#graph-curves > div"));
    landscope.drawers.calibration.mount();
    landscope.whatIf.mount();
    landscope.views.mount(definitions).forEach(([id, name]) => {
      CONTROLS[id] = name;
    });
    landscope.timebar.mount();
    landscope.controls.mount(readOnly);
    landscope.steering.mount(steering);
    landscope.lab.mount(laboratory);
    landscope.asked.mount();
    landscope.dock.mount(docks);
    landscope.header.mount();
    landscope.findings.mount();
    landscope.verdict.mount(recipes);
    landscope.lessons.mount(lessons);
    landscope.layout.mount(definitions);
    landscope.exporting.mount(tables);
    landscope.keyboard.mount();
    landscope.theme.apply();
    landscope.on("route", route);
    landscope.on("view", controls);
    route();
    landscope.runs.mount(readOnly);
    // Dash may still report the values that controls were made with; what the address says comes first.
    setTimeout(() => {
      settled = true;
    }, 0);
    document.body.dataset.ready = "true";
  };
  const whenPresent = (page) => {
    if (present(page.panels)) start(page);
    else setTimeout(() => whenPresent(page), 20);
  };

  window.dash_clientside.landscope = {
    boot: (page) => {
      if (!started) {
        started = true;
        landscope.looks = page.themes;
        landscope.sceneBase = page.scene;
        landscope.graphConfig = page.config;
        view.declare(landscope.views.choices(page.panels));
        whenPresent(page);
      }
      return window.dash_clientside.no_update;
    },
    ask: () => {
      const { triggered } = window.dash_clientside.callback_context;
      if (!triggered.length || !triggered[0].value) return window.dash_clientside.no_update;
      const { prop_id: source, value: clicks } = triggered[0];
      return { ...landscope.about.question(JSON.parse(source.slice(0, source.lastIndexOf("."))).subject), clicks };
    },
    choose: (value, id) => {
      if (!settled || value === null || value === undefined) return;
      if (id === "run-picker") {
        if (value !== landscope.run.data.id) view.go(`/run/${encodeURIComponent(value)}`);
      } else view.set({ [CONTROLS[id]]: value });
    },
  };
})();
