// The panels: what each needs to be drawn, and when it is drawn anew.
landscope.panels = (() => {
  const { view, run, painter, frames, captions, checks, setText } = landscope;
  const all = new Map(); // name -> { panel, graph, zooms, parts; view, drawer, base, frameName of what is chosen }
  let shared = null; // the steps zoomed into, the same in every panel over steps

  const MARGIN = { l: 54, r: 18, t: 6, b: 34 };

  const part = (kind, name) => landscope.find(`[data-${kind}="${name}"]`);

  const mount = (definitions) => {
    definitions.forEach((panel) => {
      const graph = landscope.find(`#graph-${panel.name} > div`);
      const entry = {
        panel,
        graph,
        zooms: {},
        shown: null,
        pictured: null,
        readout: part("readout", panel.name),
        table: part("table", panel.name),
        cover: part("cover", panel.name),
        notice: part("notice", panel.name),
        summary: part("summary", panel.name),
        caution: part("caution", panel.name),
        provenance: part("provenance", panel.name),
        cursor: part("cursor", panel.name),
      };
      all.set(panel.name, entry);
      chooseView(entry);
      painter.add(panel.name, graph, () => draw(entry));
      landscope.graphs.listen(graph, "plotly_relayout", (change) => zoomed(entry, change));
      landscope.graphs.listen(graph, "plotly_doubleclick", () => unzoom(entry));
      landscope.graphs.listen(graph, "plotly_click", ({ points, event }) => {
        if (!points.length) return;
        if (entry.drawer?.clicked && entry.shown) entry.drawer.clicked(points[0], entry.shown.found, event);
        if (!entry.view.overSteps) return;
        landscope.timebar.choose(Number(entry.drawer?.stepAt ? entry.drawer.stepAt(points[0]) : points[0].x));
      });
      new ResizeObserver(() => painter.invalidate(panel.name)).observe(graph);
    });
  };
  // Takes the view that the address names; false where it is shown already.
  const chooseView = (entry) => {
    const { views, name } = entry.panel;
    const chosen = views.find((one) => one.name === view.state[name]) || views[0];
    if (chosen === entry.view) return false;
    const drawer = landscope.drawers[chosen.drawer] || null;
    entry.zooms[chosen.name] ||= {};
    return Object.assign(entry, {
      view: chosen,
      drawer,
      base: { ...chosen.layout, margin: MARGIN, autosize: true, uirevision: chosen.name },
      frameName: drawer?.frameName || (() => chosen.frames[0]),
    });
  };
  const zoomOf = (entry) => ({
    ...entry.zooms[entry.view.name],
    ...(entry.view.overSteps && shared ? { xaxis: shared } : {}),
  });

  const zoomed = (entry, change) => {
    Object.keys(change).forEach((key) => {
      const match = key.match(/^([xy]axis\d?)\.range\[0\]$/);
      if (!match) return;
      const range = [change[key], change[key.replace("[0]", "[1]")]];
      if (entry.view.overSteps && match[1] === "xaxis") shared = range;
      else entry.zooms[entry.view.name][match[1]] = range;
    });
    if (Object.keys(change).some((key) => key.includes("range"))) redrawOverSteps(entry);
  };
  const unzoom = (entry) => {
    entry.zooms[entry.view.name] = {};
    if (entry.view.overSteps) shared = null;
    redrawOverSteps(entry);
  };
  const redrawOverSteps = (entry) => {
    all.forEach((other) => {
      if (other === entry || (entry.view.overSteps && other.view.overSteps)) painter.invalidate(other.panel.name);
    });
  };

  const look = () => landscope.looks[landscope.theme.name()];

  // What a panel is to show now: the measurement of its frame, if it has arrived.
  const wanted = (entry) => {
    const name = entry.frameName();
    if (!name) return null;
    const frame = run.frameAt(name, run.shownStep());
    return frame && { name, ...frame };
  };
  // What is drawn together with it.
  const besides = (entry) =>
    (entry.drawer?.beside?.() || [])
      .map((name) => ({ name, ...run.frameAt(name, run.shownStep()) }))
      .filter(({ seq }) => seq !== undefined);
  const fetchFrame = (entry) => {
    const frame = wanted(entry);
    if (!frame) return;
    [frame, ...besides(entry)].forEach(({ name, seq, index }) => {
      if (!frames.get(seq)) frames.want(name, seq, () => refresh(entry));
      if (entry.drawer && !view.following()) frames.prefetch(name, index + 1);
    });
  };
  const gather = (entry) => {
    if (entry.view.through) landscope.history.want(entry.frameName(), () => refresh(entry));
  };
  const current = (entry) => {
    const frame = wanted(entry);
    const found = frame && frames.get(frame.seq);
    // While the wished frame is on its way the one before stays, unless it belongs to another plane or run.
    if (found) entry.shown = { name: frame.name, seq: frame.seq, run: run.data.id, found };
    else if (!frame || !entry.shown || entry.shown.name !== frame.name || entry.shown.run !== run.data.id)
      entry.shown = null;
    return entry.shown && entry.shown.found;
  };

  const draw = (entry) => {
    if (view.state.run === null) return null;
    const measurement = current(entry),
      { view: pictured, drawer, graph, base } = entry;
    if (bare(entry, measurement)) return null;
    const drawn = (drawer || landscope.series).draw(pictured, graph, base, look(), zoomOf(entry), measurement);
    return Promise.resolve(drawn).then(() => {
      const first = entry.pictured !== pictured;
      entry.pictured = pictured;
      if (first) annotate(entry);
      else landscope.cursor.place(entry);
    });
  };
  const bare = (entry, measurement) => (entry.drawer ? !measurement : landscope.series.empty(entry.view));

  // Texts around the graph; cheap, so they follow at once while graphs wait their turn.
  const annotate = (entry) => {
    const measurement = current(entry),
      empty = bare(entry, measurement);
    // Until the picture of a view is there, that of another is covered.
    entry.cover.hidden = !empty && entry.pictured === entry.view;
    setText(entry.cover, empty ? captions.waiting(entry, wanted(entry)) : "drawing");
    const items = empty
      ? []
      : entry.drawer
        ? entry.drawer.readout(measurement, look())
        : landscope.series.readout(entry.view, look(), measurement);
    captions.legend(entry.readout, items);
    landscope.tables.show(entry.table, (!empty && entry.drawer?.table?.(measurement)) || null);
    setText(
      entry.provenance,
      empty ? "" : measurement ? captions.provenance(entry, measurement) : captions.points(entry),
    );
    entry.provenance.title = entry.provenance.textContent;
    const landscape = entry.drawer === landscope.drawers.landscape;
    const checked = !measurement ? [] : landscape ? entry.drawer.slices(measurement) : [measurement];
    const trouble = [captions.switchedOff(entry), ...checked.map(checks.failures)].filter(Boolean);
    entry.notice.hidden = !trouble.length;
    setText(entry.notice, trouble.join(" · "));
    const words = (measurement && entry.drawer?.summary?.(measurement)) || entry.view.summary;
    setText(entry.summary, words);
    entry.summary.title = words;
    if (landscape) {
      const caution = checked.map(checks.caution).find(Boolean);
      entry.caution.hidden = !caution;
      setText(entry.caution, caution || "");
      checks.show(checked);
      landscope.planes.show(measurement);
    }
    if (entry.panel.name === "embedding")
      landscope.points.show(entry.drawer === landscope.drawers.embedding && !empty ? measurement : null);
    if (entry.panel.name === "curves")
      landscope.drawers.learning.show(
        entry.graph,
        entry.drawer === landscope.drawers.learning && !empty ? measurement : null,
      );
    if (entry.panel.name === "curves")
      landscope.whatIf.show(entry.drawer === landscope.drawers.forecast && !empty ? measurement : null);
    landscope.cursor.place(entry);
  };
  const refresh = (entry, chosen = false) => {
    annotate(entry);
    painter.invalidate(entry.panel.name, chosen);
  };
  let axisEnd = 0;
  const axisMoved = () => {
    const before = axisEnd;
    axisEnd = landscope.axes.stepsEnd();
    return before !== axisEnd;
  };
  const stepChanged = (entry) => {
    if (!entry.drawer && !entry.view.frames.length) {
      annotate(entry);
      return;
    }
    const before = entry.shown && entry.shown.found;
    fetchFrame(entry);
    const now = current(entry);
    const follows = entry.drawer && !entry.view.overSteps;
    const others = besides(entry).map(({ seq }) => seq).join();
    if (others !== entry.others) {
      entry.others = others;
      painter.invalidate(entry.panel.name);
    }
    if (now !== before && (follows || before?.preconditioned !== now?.preconditioned))
      painter.invalidate(entry.panel.name);
    annotate(entry);
  };

  landscope.on("data", (changed) => {
    const moved = axisMoved();
    all.forEach((entry) => {
      if (
        changed.has("loaded") ||
        (moved && entry.view.overSteps) ||
        (!entry.drawer && landscope.series.uses(entry.view, changed))
      )
        painter.invalidate(entry.panel.name);
      // New frames of this kind may widen its scale, even when an earlier one is shown.
      const drawn = entry.drawer ? [entry.frameName(), ...besides(entry).map(({ name }) => name)] : [];
      if (drawn.some((name) => changed.has(name))) painter.invalidate(entry.panel.name);
      gather(entry);
      stepChanged(entry);
    });
  });
  landscope.on("view", (changed) =>
    all.forEach((entry) => {
      if (changed.has(entry.panel.name) && chooseView(entry)) {
        fetchFrame(entry);
        gather(entry);
        refresh(entry, true);
      }
      if (changed.has("x") && entry.view.overSteps) {
        shared = null;
        gather(entry);
        refresh(entry);
      }
      if (changed.has("style") && entry.panel.name === "landscape") {
        entry.zooms[entry.view.name] = {};
        refresh(entry);
      }
      if (changed.has("show") && entry.panel.name === "landscape") refresh(entry);
      if (changed.has("plane") && entry.panel.name === "landscape") {
        entry.zooms[entry.view.name] = {};
        fetchFrame(entry);
        refresh(entry);
      }
      if (entry.drawer === landscope.drawers.embedding && ["colour", "chosen"].some((key) => changed.has(key)))
        refresh(entry, true);
      if (entry.drawer?.chosenBy?.some((key) => changed.has(key))) {
        fetchFrame(entry);
        refresh(entry, true);
      }
      if (changed.has("step")) stepChanged(entry);
    }),
  );
  landscope.on("theme", () => {
    if (landscope.looks) all.forEach((entry) => refresh(entry, true));
  });
  landscope.on("run", () => {
    shared = null;
    all.forEach((entry) => {
      entry.zooms = {};
      Object.assign(entry, { shown: null, pictured: null, view: null });
      chooseView(entry);
      annotate(entry);
    });
  });
  return { mount, all };
})();
