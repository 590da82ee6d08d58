// What a recipe shows beside the usual panels: measurements that landscope.figures draws, a panel for each name.
landscope.exhibits = (() => {
  const { view, run, find, setText, element, painter, format, exhibitLegend } = landscope;
  const PREFIX = "exhibit/";
  const WIDE = ["slice-set"];
  const KEPT = 80; // pictures in memory, so that stepping back and on is instant
  const panels = new Map(); // name -> what the panel is made of
  const pictures = new Map(); // run/seq/theme -> promise of the server's answer
  let owner = null; // the run whose exhibits these are

  const picture = (seq, theme) => {
    const key = `${run.data.id}/${seq}/${theme}`;
    if (!pictures.has(key)) {
      const promise = landscope.api.figure(run.data.id, seq, theme);
      promise.catch(() => pictures.delete(key)); // to be asked for again
      pictures.set(key, promise);
      if (pictures.size > KEPT) pictures.delete(pictures.keys().next().value);
    }
    return pictures.get(key);
  };
  const wordsOf = (name) =>
    run.data.events.findLast(({ kind, data }) => kind === "exhibit" && data?.name === name)?.data || {};

  const make = (name) => {
    const id = `exhibit-${name.replace(/[^\w-]/g, "_")}`;
    const heading = wordsOf(name).title || name;
    const title = element("h2", { id: `title-${id}`, text: heading }),
      summary = element("p", { className: "summary" }),
      legend = element("div", { className: "readout" }),
      graph = element("div", { className: "graph" }),
      cover = element("div", { className: "cover", text: "drawing" }),
      provenance = element("p", { className: "provenance" }),
      about = landscope.quietButton("info", "about", `Explain: ${heading}`);
    about.dataset.subject = PREFIX + name;
    const again = element("button", { type: "button", className: "button", hidden: "" }, [
      element("span", { className: "icon icon-play", "aria-hidden": "true" }),
      element("span", { className: "button-text", text: "Run this box" }),
    ]);
    const section = element("section", { id, className: "panel exhibit", "aria-labelledby": `title-${id}` }, [
      element("header", {}, [title, about]),
      summary,
      legend,
      element("div", { className: "plot" }, [element("div", { className: "stage" }, [graph]), cover]),
      element("div", { className: "foot" }, [
        provenance,
        again,
        landscope.exporting.button(heading),
        landscope.enlarge.button(heading),
      ]),
    ]);
    const parts = { section, title, summary, legend, graph, cover, provenance, again };
    const entry = { name, id, ...parts, hidden: new Set(), box: null, drawn: "" };
    find(".panels").append(section);
    painter.add(id, graph, () => draw(entry));
    again.addEventListener("click", () => rerun(entry));
    new ResizeObserver(() => entry.drawn && graph.offsetParent && Plotly.Plots.resize(graph)).observe(graph);
    return entry;
  };
  const clear = () => {
    panels.forEach(({ id, section, graph, drawn }) => {
      painter.remove(id);
      if (drawn) Plotly.purge(graph);
      section.remove();
    });
    panels.clear();
    pictures.clear();
  };

  // Names of axes that are longer than these are broken before their unit, and written smaller if that is not enough.
  const LETTER_PX = 5.8,
    LEAST_PX = 8;
  const fitted = (axis, graph) => {
    const text = axis.title?.text || "",
      [low, high] = axis.domain || [0, 1];
    const room = (graph.clientHeight - 46) * (high - low);
    if (text.length * LETTER_PX <= room) return { ...axis, automargin: true };
    const broken = text.replace(/ \((?=[^(]*\)$)/, "<br>(");
    const longest = Math.max(...broken.split("<br>").map(({ length }) => length)) * LETTER_PX;
    const size = Math.max(Math.min(11, (11 * room) / longest), LEAST_PX);
    return { ...axis, automargin: true, title: { ...axis.title, text: broken, font: { ...axis.title.font, size } } };
  };
  const layoutOf = (entry, { width, height, title: heading, ...layout }, bare) => {
    const titled = heading?.text ? 14 + 14 * heading.text.split("<br>").length : 8;
    const top = bare ? (layout.margin?.t ?? titled) : titled; // a figure's own has room for its legend
    const axes = Object.keys(layout).filter((name) => /^[xy]axis\d*$/.test(name));
    const fit = (name) => (name[0] === "y" ? fitted(layout[name], entry.graph) : { ...layout[name], automargin: true });
    return {
      ...layout,
      ...Object.fromEntries(axes.map((name) => [name, fit(name)])),
      ...(heading?.text ? { title: { ...heading, font: { size: 11 } } } : {}),
      margin: { l: 52, r: 18, b: 36, ...layout.margin, t: top },
      showlegend: false,
      autosize: true,
      uirevision: entry.name,
    };
  };
  const draw = async (entry) => {
    const frame = run.frameAt(PREFIX + entry.name, run.shownStep()),
      theme = landscope.theme.name();
    if (!frame) return;
    const key = `${run.data.id}/${frame.seq}/${theme}/${[...entry.hidden]}`;
    if (key === entry.drawn) return;
    try {
      const { figure, config, provenance, kind, title, summary } = await picture(frame.seq, theme);
      if (panels.get(entry.name) !== entry) return; // another run's by now
      entry.section.classList.toggle("panel-wide", WIDE.includes(kind));
      const entries = exhibitLegend.entriesOf(figure);
      exhibitLegend.show(entry.legend, entries, entry.hidden, () => painter.invalidate(entry.id, true));
      entry.legend.hidden = !entries.length;
      const data = exhibitLegend.visible(figure.data, entry.hidden);
      await Plotly.react(entry.graph, data, layoutOf(entry, figure.layout, !entries.length), config);
      const words = wordsOf(entry.name);
      if (!entry.drawn)
        entry.graph.on("plotly_relayout", (change) => {
          if (Object.keys(change).some((name) => name.includes("axis.range["))) boxed(entry);
        });
      Object.assign(entry, { drawn: key, seq: frame.seq, step: frame.step, kind, entries });
      setText(entry.provenance, provenance);
      entry.provenance.title = provenance;
      setText(entry.title, words.title || title || entry.name);
      entry.title.title = entry.title.textContent;
      setText(entry.summary, words.summary || summary || "");
      entry.summary.title = entry.summary.textContent;
      entry.cover.hidden = true;
    } catch (error) {
      setText(entry.cover, `It cannot be drawn: ${error.message}`);
      entry.cover.hidden = Boolean(entry.drawn);
    }
  };
  // A box dragged in a picture whose edges stand for settings: the recipe can be run again for it.
  const boxed = (entry) => {
    const { xaxis, yaxis } = entry.graph._fullLayout || {};
    entry.box = xaxis && yaxis ? [...xaxis.range, ...yaxis.range].map(Number) : null;
    const { window: names } = wordsOf(entry.name);
    entry.again.hidden = !(names && entry.box?.every(Number.isFinite)) || Boolean(landscope.controls.standing());
  };
  const rerun = async (entry) => {
    const { recipe, config } = landscope.plan.manifest();
    const { window: names } = wordsOf(entry.name);
    const words = entry.again.querySelector(".button-text");
    entry.again.disabled = true;
    setText(words, "Starting …");
    try {
      const edges = Object.fromEntries(names.map((name, index) => [name, entry.box[index]]));
      const { run: id } = await landscope.api.startRecipe(recipe, { ...config, ...edges });
      if (run.data.id === owner) view.go(`/run/${encodeURIComponent(id)}`);
    } catch (error) {
      landscope.emit("refused", error.message);
    } finally {
      entry.again.disabled = false;
      setText(words, "Run this box");
    }
  };
  const waiting = (entry) => {
    const frame = run.frameAt(PREFIX + entry.name, run.shownStep());
    const first = run.data.frames.get(PREFIX + entry.name)?.step[0];
    if (!frame) setText(entry.provenance, "");
    else if (frame.seq === entry.seq) setText(entry.provenance, entry.provenance.title);
    entry.cover.hidden = Boolean(frame && entry.drawn);
    setText(entry.cover, frame ? "drawing" : `first shown at step ${format.whole(first ?? 0)}`);
  };
  const refresh = (chosen = false) =>
    panels.forEach((entry) => {
      waiting(entry);
      painter.invalidate(entry.id, chosen);
    });

  const update = () => {
    if (owner !== run.data.id) {
      clear();
      owner = run.data.id;
    }
    const first = (name) => run.data.frames.get(name).seq[0] ?? Infinity;
    const names = [...run.data.frames.keys()]
      .filter((name) => name.startsWith(PREFIX))
      .sort((one, other) => first(one) - first(other));
    names.forEach((full) => {
      const name = full.slice(PREFIX.length);
      if (!panels.has(name)) panels.set(name, make(name));
    });
    const study = Boolean(landscope.plan.manifest()?.panels?.study);
    find(".panels").classList.toggle("study", study);
    document.body.classList.toggle("of-study", study);
    find(".panels").classList.toggle("extended", !study && panels.size > 0);
  };
  const show = (changed) => {
    if (!find(".panels")) return;
    update();
    if (!changed || changed.has("loaded") || [...changed].some((name) => name.startsWith(PREFIX))) refresh();
  };
  landscope.on("data", show);
  ["plan", "run"].forEach((event) => landscope.on(event, () => show()));
  landscope.on("view", (changed) => {
    if (changed.has("step")) refresh(!view.following());
  });
  landscope.on("theme", () => refresh(true));
  const of = (section) => [...panels.values()].find((entry) => entry.section === section);
  const stepOf = (subject) => panels.get(subject.slice(PREFIX.length))?.step;
  return { all: () => [...panels.keys()], of, stepOf };
})();
