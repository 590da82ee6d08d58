// What the page of several runs shows: the table, the pictures as the server draws them, and the time bar.
landscope.comparePage = (() => {
  const { compare, find, element, setText, format } = landscope;
  const { state } = compare;
  const PICTURES = ["curves", "curve_difference", "planes", "difference", "densities", "kernels", "embeddings"];
  const EXHIBIT = "exhibit/";
  const TAKES = {
    curves: ["x", "bands"],
    curve_difference: ["x", "first", "second"],
    planes: ["plane"],
    difference: ["plane", "first", "second"],
    densities: ["bands"],
    kernels: ["bands"],
    embeddings: [],
  };
  const TICKS = 1000; // of the slider
  const panels = new Map(); // name -> { section, graph, drawn, busy, seen }
  let watcher = null; // of what can be seen

  // The table
  const swatch = (run) => {
    const look = landscope.looks[landscope.theme.name()].colours.palette;
    const grouped = state.bands !== "no" && compare.data().grouped;
    const mark = element("span", { className: run.dash % 6 ? "swatch dashed" : "swatch" });
    mark.style.setProperty("--swatch", look[grouped ? run.groupHue : run.hue]);
    return mark;
  };
  const headCell = (run) => {
    const path = `/run/${encodeURIComponent(run.id)}`;
    const link = run.reference
      ? element("span", { text: run.label, title: "A run of this recipe as it was recorded once; it has no page" })
      : element("a", { text: run.label, href: path, "data-route": path, title: run.id });
    const off = element("button", { type: "button", className: "button quiet", title: "Take out of the comparison" });
    off.setAttribute("aria-label", `Take ${run.label} out of the comparison`);
    off.append(element("span", { className: "icon icon-close", "aria-hidden": "true" }));
    off.addEventListener("click", () => compare.remove(run.id));
    return element("th", { scope: "col" }, [element("div", { className: "compare-name" }, [swatch(run), link, off])]);
  };
  const stepsOf = ({ step, total }) =>
    total ? `${format.whole(step)} / ${format.whole(total)}` : format.whole(step);
  const row = (name, cells, className = "") =>
    element("tr", { className }, [
      element("th", { scope: "row", text: name }),
      ...cells.map((cell) => element("td", {}, [cell])),
    ]);
  let tableKey = "";
  const table = ({ runs, settings }) => {
    const key = JSON.stringify([runs, settings, state.bands, landscope.theme.name()]);
    if (key === tableKey) return;
    tableKey = key;
    const pill = ({ status, reference }) => {
      const words = reference ? "recorded reference" : status === "running" ? "live" : status;
      const made = element("span", { className: "pill", text: words });
      made.dataset.status = status;
      return made;
    };
    const judged = ({ verdict }) =>
      verdict ? `${verdict.reproduced} of ${verdict.claims} reproduced` : "not judged";
    const body = [
      row("status", runs.map(pill)),
      row("steps", runs.map(stepsOf)),
      ...settings.map(({ name, values }) => row(name, values, "setting")),
      ...(runs.some(({ verdict }) => verdict) ? [row("claims", runs.map(judged))] : []),
      ...(runs.some(({ reference }) => reference)
        ? [
            row(
              "recorded",
              runs.map(({ recorded }) => recorded),
            ),
          ]
        : []),
      ...(runs.some(({ finding }) => finding)
        ? [
            row(
              "what happens",
              runs.map(({ finding }) => finding || "nothing remarkable"),
              "compare-finding",
            ),
          ]
        : []),
    ];
    if (!settings.length) body.splice(2, 0, row("settings", [...runs].fill("the same")));
    find("#compare-table").replaceChildren(
      element("thead", {}, [element("tr", {}, [element("td"), ...runs.map(headCell)])]),
      element("tbody", {}, body),
    );
  };

  // Pictures
  const cover = (name, text) => {
    const place = find(`[data-cover="compare-${name}"]`);
    place.hidden = !text;
    setText(place, text);
  };
  const notes = (name, text) => {
    const place = find(`[data-notes="${name}"]`);
    place.hidden = !text;
    setText(place, text);
  };
  const wanted = (name) => {
    const { stamps } = compare.data();
    const taken = name.startsWith(EXHIBIT)
      ? { exhibit: name.slice(EXHIBIT.length) }
      : Object.fromEntries(TAKES[name].map((key) => [key, state[key]]));
    const step = name.startsWith("curve") || state.step === null ? {} : { step: state.step };
    return compare.query({ ...taken, ...step, theme: landscope.theme.name(), stamp: stamps[name] });
  };
  const words = ({ missing, notes: said }) => {
    const reasons = new Map();
    Object.entries(missing).forEach(([label, reason]) =>
      reasons.set(reason, [...(reasons.get(reason) || []), label]),
    );
    return [...[...reasons].map(([reason, labels]) => `${labels.join("; ")}: ${reason}`), ...said].join(" · ");
  };
  const draw = async (name) => {
    const panel = panels.get(name);
    if (!panel?.seen || panel.busy || !compare.data()?.stamps) return;
    const query = wanted(name);
    if (query === panel.drawn) return;
    panel.busy = true;
    if (!panel.drawn) cover(name, "drawing");
    try {
      const what = name.startsWith(EXHIBIT) ? "exhibit" : name;
      const { figure, config, code, ...said } = await landscope.api.compared(what, query);
      setText(find(`[data-line="${name}"]`), code);
      if (figure === null) {
        Plotly.purge(panel.graph);
        cover(name, words(said));
        notes(name, "");
      } else {
        const { width, height, ...layout } = figure.layout;
        const revision = `${name} ${state.plane} ${state.x} ${state.runs}`;
        await Plotly.react(panel.graph, figure.data, { ...layout, autosize: true, uirevision: revision }, config);
        cover(name, "");
        notes(name, words(said));
      }
      panel.drawn = query;
    } catch (error) {
      cover(name, `It cannot be drawn: ${error.message}`);
      panel.drawn = ""; // it is tried again with the next answer
      panel.busy = false;
      return;
    }
    panel.busy = false;
    cursor(name);
    draw(name); // what was chosen meanwhile
  };
  // The shown step, in every cell of the curves.
  const cursor = (name) => {
    const { graph, drawn } = panels.get(name);
    if (!name.startsWith("curve") || !drawn || !graph._fullLayout || !compare.data()) return;
    const step = compare.shownStep(),
      line = { color: landscope.looks[landscope.theme.name()].colours.accent, width: 1 };
    const axes = Object.keys(graph.layout).filter((key) => /^xaxis\d*$/.test(key));
    const shapes = axes
      .filter(() => step > 0 || state.x === "linear")
      .map((axis) => axis.slice(5))
      .map((tail) => ({ xref: `x${tail}`, yref: `y${tail} domain` }))
      .map((place) => ({ type: "line", ...place, x0: step, x1: step, y0: 0, y1: 1, line }));
    Plotly.relayout(graph, { shapes });
  };

  // What recipes exhibit: a panel for each, made as the others are.
  const exhibitPanel = ({ name, title }) => {
    const key = EXHIBIT + name,
      heading = `compare-title-${name.replace(/[^\w-]/g, "_")}`;
    const graph = element("div", { className: "compare-graph", "data-graph": key }),
      copy = find("#compare-curves [data-action=copy]").cloneNode(true);
    const section = element("section", { className: "panel", "aria-labelledby": heading, "data-picture": key }, [
      element("header", {}, [element("h2", { id: heading, text: title })]),
      element("div", { className: "plot" }, [
        graph,
        element("div", { className: "cover", role: "status", text: "loading", "data-cover": `compare-${key}` }),
      ]),
      element("p", { className: "words", hidden: "", role: "note", "data-notes": key }),
      element("div", { className: "code result-code" }, [
        element("pre", { className: "line", tabindex: "0", "data-line": key }),
        copy,
      ]),
    ]);
    find("#compare-exhibits").append(section);
    add(key, section, graph);
  };
  let shownExhibits = "";
  const exhibits = ({ exhibits: shown }) => {
    const key = JSON.stringify([shown, state.runs]);
    if (key === shownExhibits) return;
    shownExhibits = key;
    [...panels.keys()].filter((name) => name.startsWith(EXHIBIT)).forEach((name) => {
      const { section, graph } = panels.get(name);
      watcher.unobserve(section);
      Plotly.purge(graph);
      section.remove();
      panels.delete(name);
    });
    shown.forEach(exhibitPanel);
  };
  const absent = ({ pictures }) => {
    const without = PICTURES.filter((name) => !pictures.includes(name));
    PICTURES.forEach((name) => {
      panels.get(name).section.hidden = without.includes(name);
    });
    const titles = without.map((name) => find(`#compare-title-${name}`).textContent.toLowerCase());
    const place = find("#compare-absent");
    place.hidden = !titles.length;
    setText(place, titles.length ? `In none of these runs: ${titles.join(", ")}.` : "");
  };

  // Choices
  const NAMES = { plane: "Plane", first: "Which run", second: "Less which run", bands: "Runs of several seeds" };
  const fill = (name, options, value) =>
    document.querySelectorAll(`[data-select="${name}"]`).forEach((place) => {
      let select = place.firstElementChild;
      if (!select) {
        select = element("select", { className: "select", "aria-label": NAMES[name] });
        select.addEventListener("change", () => compare.set({ [name]: select.value }));
        place.append(select);
      }
      const key = JSON.stringify(options);
      if (select.dataset.key !== key) {
        select.dataset.key = key;
        select.replaceChildren(...options.map(([id, text]) => element("option", { value: id, text })));
      }
      select.value = value;
    });
  const bands = ({ grouped, deciles }) => {
    const inner = deciles ? [["deciles", "mean and 10–90 %"]] : [];
    fill("bands", [["yes", "mean, least to greatest"], ...inner, ["no", "one by one"]], state.bands);
    find('[data-select="bands"]').parentElement.hidden = !grouped;
  };
  const choices = (data) => {
    const runs = data.runs.map(({ label }, index) => [String(index), label]);
    const planes = data.planes.includes(state.plane) ? data.planes : [state.plane, ...data.planes];
    fill(
      "plane",
      planes.map((plane) => [plane, plane]),
      state.plane,
    );
    fill("first", runs, state.first);
    fill("second", runs, state.second);
    bands(data);
  };

  // Time
  const toShare = (step) => {
    const last = Math.max(compare.data().last, 1);
    return Math.min(1, state.x === "log" ? Math.log1p(step) / Math.log1p(last) : step / last);
  };
  const toStep = (share) => {
    const { last } = compare.data();
    return Math.round(state.x === "log" ? Math.expm1(share * Math.log1p(last)) : share * last);
  };
  const slider = () => find("#compare-slider input");
  const time = ({ last }) => {
    const step = compare.shownStep(),
      following = state.step === null;
    slider().value = String(Math.round(TICKS * toShare(step)));
    slider().setAttribute("aria-valuetext", `step ${format.whole(step)} of ${format.whole(last)}`);
    setText(find("#compare-step"), `step ${format.whole(step)} / ${format.whole(last)}`);
    [
      ["#compare-follow", following],
      ["#compare-log", state.x === "log"],
    ].forEach(([place, on]) => {
      find(place).classList.toggle("on", on);
      find(place).setAttribute("aria-pressed", String(on));
    });
  };
  const follow = () => compare.set({ step: state.step === null ? compare.shownStep() : null });
  const logarithmic = () => compare.set({ x: state.x === "log" ? "linear" : "log" });
  const move = (count) => {
    const { stops } = compare.data(),
      now = compare.shownStep();
    const at = landscope.lastAtOrBelow(stops, now);
    const next = count < 0 && stops[at] !== now ? at : at + count;
    if (stops.length) compare.set({ step: stops[Math.min(Math.max(next, 0), stops.length - 1)] });
  };
  const KEYS = {
    f: follow,
    l: logarithmic,
    ArrowLeft: () => move(-1),
    ArrowRight: () => move(1),
    Home: () => compare.set({ step: 0 }),
    End: () => compare.set({ step: compare.data().last }),
  };

  const show = () => {
    const data = compare.data(),
      empty = data === null ? state.runs.length < 2 : data.runs.length < 2;
    find("#compare-empty").hidden = !empty;
    const shown = data !== null && !empty;
    ["#compare-body", "#compare-time"].forEach((place) => {
      find(place).hidden = !shown;
    });
    if (!shown) {
      if (!empty) setText(find("#compare-note"), "loading");
      panels.forEach((panel) => {
        panel.drawn = "";
      });
      return;
    }
    table(data);
    choices(data);
    time(data);
    const rows = Math.ceil(data.runs.length / (data.runs.length > 4 ? 3 : 4));
    ["planes", "embeddings"].forEach((name) => {
      find(`[data-graph="${name}"]`).style.height = `${70 + 320 * rows}px`;
    });
    exhibits(data);
    find("#compare-exhibits").dataset.runs = data.runs.length > 3 ? "many" : data.runs.length > 2 ? "three" : "two";
    absent(data);
    [...panels.keys()].forEach((name) => {
      draw(name);
      cursor(name);
    });
  };
  const add = (name, section, graph) => {
    panels.set(name, { section, graph, drawn: "", busy: false, seen: false });
    watcher.observe(section);
  };
  const mount = () => {
    // Only what can be seen is drawn.
    watcher = new IntersectionObserver(
      (entries) =>
        entries.forEach(({ target, isIntersecting }) => {
          const name = target.dataset.picture;
          if (!panels.has(name)) return;
          panels.get(name).seen = isIntersecting;
          if (isIntersecting) draw(name);
        }),
      { root: null, rootMargin: "200px" },
    );
    PICTURES.forEach((name) => {
      add(name, find(`#compare-${name}`), find(`[data-graph="${name}"]`));
    });
    const range = element("input", { type: "range", min: "0", max: String(TICKS), step: "1", "aria-label": "Step" });
    range.addEventListener("input", () => compare.set({ step: toStep(Number(range.value) / TICKS) }));
    find("#compare-slider").append(range);
    find("#compare-follow").addEventListener("click", follow);
    find("#compare-log").addEventListener("click", logarithmic);
    document.addEventListener("keydown", (event) => {
      const own = event.target.closest?.("input, select, textarea, [role=dialog]");
      if (!compare.here() || !compare.data()?.stops || own || event.ctrlKey || event.metaKey || event.altKey) return;
      const action = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (!action) return;
      event.preventDefault();
      action();
    });
    landscope.on("compare", show);
    landscope.on("theme", () => {
      if (compare.here()) show();
    });
    compare.route();
  };
  return { mount };
})();
