// The panels: what each needs to be drawn, and when it is drawn anew.
landscope.panels = (() => {
  const { view, run, painter, frames, captions, checks, setText } = landscope;
  const all = new Map(); // name -> { panel, graph, base, zoom, drawer, parts }
  let shared = null; // the steps zoomed into, the same in every panel over steps

  const DRAWERS = {
    landscape: landscope.landscapePanel,
    spectrum: landscope.spectrumPanel,
    embedding: landscope.embeddingPanel,
  };
  const MARGIN = { l: 54, r: 18, t: 6, b: 34 };

  const part = (kind, name) => landscope.find(`[data-${kind}="${name}"]`);

  const mount = (definitions) => {
    definitions.forEach((panel) => {
      const graph = landscope.find(`#graph-${panel.name} .js-plotly-plot`);
      const base = { ...structuredClone({ ...graph.layout, template: undefined }), margin: MARGIN, autosize: true };
      // Until now the page showed through; what is drawn has the theme's own ground.
      delete base.paper_bgcolor;
      delete base.plot_bgcolor;
      // Plotly has written what it made of the empty axes into the layout; ours are never left to it.
      Object.keys(base)
        .filter((key) => /^[xy]axis/.test(key))
        .forEach((key) => {
          delete base[key].autorange;
          delete base[key].range;
        });
      const entry = {
        panel,
        graph,
        base,
        zoom: {},
        drawer: DRAWERS[panel.name] || null,
        shown: null,
        readout: part("readout", panel.name),
        cover: part("cover", panel.name),
        notice: part("notice", panel.name),
        summary: part("summary", panel.name),
        caution: part("caution", panel.name),
        provenance: part("provenance", panel.name),
        cursor: part("cursor", panel.name),
      };
      all.set(panel.name, entry);
      painter.add(panel.name, graph, () => draw(entry));
      // The graph is ours from here on: Dash's listeners set properties, upon which it would draw its empty figure again.
      graph.removeAllListeners();
      graph.on("plotly_relayout", (change) => zoomed(entry, change));
      graph.on("plotly_doubleclick", () => unzoom(entry));
      if (!entry.drawer)
        graph.on("plotly_click", ({ points }) => {
          if (points.length) landscope.timebar.choose(Number(points[0].x));
        });
      new ResizeObserver(() => painter.invalidate(panel.name)).observe(graph);
    });
  };

  const zoomed = (entry, change) => {
    Object.keys(change).forEach((key) => {
      const match = key.match(/^([xy]axis\d?)\.range\[0\]$/);
      if (!match) return;
      const range = [change[key], change[key.replace("[0]", "[1]")]];
      if (!entry.drawer && match[1] === "xaxis") shared = range;
      else entry.zoom[match[1]] = range;
    });
    if (Object.keys(change).some((key) => key.includes("range"))) redrawOverSteps(entry);
  };
  const unzoom = (entry) => {
    entry.zoom = {};
    if (!entry.drawer) shared = null;
    redrawOverSteps(entry);
  };
  const redrawOverSteps = (entry) => {
    if (entry.drawer) painter.invalidate(entry.panel.name);
    else
      all.forEach((other) => {
        if (!other.drawer) painter.invalidate(other.panel.name);
      });
  };

  const look = () => landscope.looks[landscope.theme.name()];

  // What a panel is to show now: the measurement of its frame, if it has arrived.
  const wanted = (entry) => {
    const name = entry.drawer ? entry.drawer.frameName() : entry.panel.frames[0];
    if (!name) return null;
    const frame = run.frameAt(name, run.shownStep());
    return frame && { name, ...frame };
  };
  const fetchFrame = (entry) => {
    const frame = wanted(entry);
    if (!frame) return;
    if (!frames.get(frame.seq)) frames.want(frame.name, frame.seq, () => refresh(entry));
    if (entry.drawer && !view.following()) frames.prefetch(frame.name, frame.index + 1);
  };
  const current = (entry) => {
    const frame = wanted(entry);
    const found = frame && frames.get(frame.seq);
    // While the wished frame is on its way the one before stays, unless it belongs to another plane or run.
    if (found) entry.shown = { name: frame.name, run: run.data.id, found };
    else if (!frame || !entry.shown || entry.shown.name !== frame.name || entry.shown.run !== run.data.id)
      entry.shown = null;
    return entry.shown && entry.shown.found;
  };

  const draw = (entry) => {
    if (view.state.run === null) return null;
    const measurement = current(entry);
    if (entry.drawer ? !measurement : landscope.series.empty(entry.panel)) return null;
    const zoom = entry.drawer ? entry.zoom : { ...entry.zoom, ...(shared ? { xaxis: shared } : {}) };
    const drawn = (entry.drawer || landscope.series).draw(
      entry.panel,
      entry.graph,
      entry.base,
      look(),
      zoom,
      measurement,
    );
    return Promise.resolve(drawn).then(() => {
      landscope.cursor.place(entry);
    });
  };

  // Texts around the graph; cheap, so they follow at once while graphs wait their turn.
  const annotate = (entry) => {
    const measurement = current(entry);
    const bare = entry.drawer ? !measurement : landscope.series.empty(entry.panel);
    entry.cover.hidden = !bare;
    if (bare) setText(entry.cover, captions.waiting(entry, wanted(entry)));
    const items = bare
      ? []
      : entry.drawer
        ? entry.drawer.readout(measurement, look())
        : landscope.series.readout(entry.panel, look(), measurement);
    captions.legend(entry.readout, items);
    setText(
      entry.provenance,
      bare ? "" : measurement ? captions.provenance(entry, measurement) : captions.points(entry),
    );
    entry.provenance.title = entry.provenance.textContent;
    const landscape = entry.drawer === landscope.landscapePanel;
    const trouble = [captions.switchedOff(entry), landscape ? checks.failures(measurement) : ""].filter(Boolean);
    entry.notice.hidden = !trouble.length;
    setText(entry.notice, trouble.join(" · "));
    if (landscape) {
      const words = (measurement && entry.drawer.summary(measurement)) || entry.panel.summary;
      setText(entry.summary, words);
      entry.summary.title = words;
      const caution = checks.caution(measurement);
      entry.caution.hidden = !caution;
      setText(entry.caution, caution);
      checks.show(measurement);
      landscope.planes.show(measurement);
    }
    landscope.cursor.place(entry);
  };
  const refresh = (entry) => {
    annotate(entry);
    painter.invalidate(entry.panel.name);
  };
  let axisEnd = 0;
  const axisMoved = () => {
    const before = axisEnd;
    axisEnd = landscope.axes.stepsEnd();
    return before !== axisEnd;
  };
  const stepChanged = (entry) => {
    if (!entry.drawer && !entry.panel.frames.length) {
      annotate(entry);
      return;
    }
    const before = entry.shown && entry.shown.found;
    fetchFrame(entry);
    const now = current(entry);
    if (now !== before && (entry.drawer || before?.preconditioned !== now?.preconditioned))
      painter.invalidate(entry.panel.name);
    annotate(entry);
  };

  landscope.on("data", (changed) => {
    const moved = axisMoved();
    all.forEach((entry) => {
      if (
        changed.has("loaded") ||
        (moved && !entry.drawer) ||
        (!entry.drawer && landscope.series.uses(entry.panel, changed))
      )
        painter.invalidate(entry.panel.name);
      // New frames of this kind may widen its scale, even when an earlier one is shown.
      if (entry.drawer && changed.has(entry.drawer.frameName())) painter.invalidate(entry.panel.name);
      stepChanged(entry);
    });
  });
  landscope.on("view", (changed) =>
    all.forEach((entry) => {
      if (changed.has("x") && !entry.drawer) {
        shared = null;
        refresh(entry);
      }
      if (changed.has("style") && entry.panel.name === "landscape") {
        entry.zoom = {};
        refresh(entry);
      }
      if (changed.has("show") && entry.panel.name === "landscape") refresh(entry);
      if (changed.has("plane") && entry.panel.name === "landscape") {
        entry.zoom = {};
        fetchFrame(entry);
        refresh(entry);
      }
      if (changed.has("step")) stepChanged(entry);
    }),
  );
  landscope.on("theme", () => {
    if (landscope.looks) all.forEach(refresh);
  });
  landscope.on("run", () => {
    shared = null;
    all.forEach((entry) => {
      entry.zoom = {};
      entry.shown = null;
      annotate(entry);
    });
  });
  return { mount, all };
})();
