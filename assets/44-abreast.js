// The planes of a step as maps beside each other: one scale of colours with one bar, and axes of their own, as a unit is
// another length on each.
landscope.abreast = (() => {
  const { heights, landscapeTraces: traces, format, run } = landscope;
  const PLANES = ["trajectory", "random", "hessian"];
  const SUMMARY = "The same loss on several planes through the weights, on one scale of colours.";
  const GAP_PX = 56, // between two maps, for the numbers and the name of an axis
    BAR_PX = 9,
    LABELS_PX = 74,
    TITLE_PX = 18,
    WORDS_PX = 110, // of an axis that has room for its unit
    WIDEST = 1.4; // of a map, over its height
  const held = new Map(); // frame's name -> what was last drawn of it, until what is wished for has come

  // Of the planes, those that were measured by the shown step; one at least, to say that it is not there.
  const names = () => {
    const all = PLANES.map((plane) => `slice/${plane}`);
    const there = all.filter((name) => run.frameAt(name, run.shownStep()));
    return there.length ? there : [all.find((name) => landscope.plan.expects([name])) || all[0]];
  };
  const shown = () =>
    names()
      .map((name) => {
        const frame = run.frameAt(name, run.shownStep());
        const slice = frame && landscope.frames.get(frame.seq);
        if (slice) held.set(name, { name, run: run.data.id, seq: frame.seq, slice });
        const found = held.get(name);
        return frame && found?.run === run.data.id ? found : null;
      })
      .filter(Boolean);
  const slices = () => shown().map(({ slice }) => slice);
  const viewsOf = (all) => {
    const scaled = () => all.map(({ slice }) => landscope.drawers.landscape.viewOf(slice, names()));
    scaled(); // each may widen the scale that all of them have
    return scaled();
  };

  const axisName = (letter, index) => letter + (index ? String(index + 1) : "");
  const draw = (graph, base, look, zoom) => {
    const all = shown(),
      views = viewsOf(all);
    const margin = { ...base.margin, t: base.margin.t + TITLE_PX };
    const width = Math.max(graph.clientWidth - margin.l - margin.r - LABELS_PX, 100),
      height = Math.max(graph.clientHeight - margin.t - margin.b, 80);
    const each = Math.min((width - (all.length - 1) * GAP_PX) / all.length, WIDEST * height),
      whole = width + LABELS_PX;
    const { logarithmic, labels, quantity } = views[0],
      name = heights.plain(quantity.label);
    const bar = {
      x: (all.length * each + (all.length - 1) * GAP_PX + 8) / whole,
      xanchor: "left",
      xpad: 0,
      y: 0.5,
      len: 1,
      ypad: 0,
      thickness: BAR_PX,
      outlinewidth: 0,
      title: { text: logarithmic ? `${name} (log scale)` : name, side: "right" },
      ...labels,
    };
    const layout = { ...base, margin, template: look.template, uirevision: "abreast", shapes: [], annotations: [] };
    const drawn = views.flatMap((view, index) => {
      const [x, y] = ["x", "y"].map((letter) => axisName(letter, index)),
        [across, up] = ["xaxis", "yaxis"].map((axis) => axisName(axis, index));
      const { slice, relief } = view,
        start = (index * (each + GAP_PX)) / whole,
        unit = slice.normalisation === "none" ? "length" : landscope.drawers.landscape.unitOf(slice);
      const titled = (sign, room) => ({ text: room < WORDS_PX ? sign : `${sign} (${unit})`, standoff: 4 });
      const common = { showgrid: false, nticks: each < WORDS_PX ? 4 : 6 };
      const range = (axis, knots) => zoom[axis] || [knots[0], knots.at(-1)];
      layout[across] = {
        ...common,
        domain: [start, start + each / whole],
        anchor: y,
        range: range(across, relief.x),
        title: titled("α", each),
      };
      layout[up] = { ...common, anchor: x, range: range(up, relief.y), title: titled("β", height) };
      const step = slice.provenance.step;
      layout.annotations.push({
        text: `<b>${heights.plain(slice.plane)}</b> · step ${format.whole(step ?? 0)}`,
        x: start,
        y: 1,
        xref: "paper",
        yref: "paper",
        xanchor: "left",
        yanchor: "bottom",
        showarrow: false,
        font: { size: 11 },
      });
      return traces.map(view, index ? null : bar, look).map((trace) => ({ ...trace, xaxis: x, yaxis: y }));
    });
    return landscope.graphs.draw(graph, drawn, layout);
  };

  const readout = (look) => {
    const views = viewsOf(shown());
    const { slice: first, quantity, relief, errors, centre } = views[0];
    const own = errors.value ? errors.value(0, 0) : NaN;
    const items = [
      {
        swatch: look.colours.accent,
        dot: true,
        label: `${quantity.label} here`,
        value: traces.withError(traces.numberOf(relief.value(centre), quantity), own),
      },
    ];
    views.forEach(({ slice, relief: { holes } }) => {
      const size = slice.loss.shape.join(" × ");
      const besides = [
        slice.provenance.step === first.provenance.step ? "" : `step ${format.whole(slice.provenance.step)}`,
        holes ? `${format.whole(holes)} not finite` : "",
      ];
      items.push({ label: slice.plane, value: [size, ...besides].filter(Boolean).join(", ") });
    });
    const worst = Math.max(...views.map((view) => view.relief.error));
    if (Number.isFinite(worst)) items.push({ label: "between points", value: traces.percent(worst) });
    return items;
  };
  const onAxis = (axis) => {
    const found = shown()[Number((axis || "").slice(1) || 1) - 1];
    return axis && found ? found : null;
  };
  return { PLANES, SUMMARY, names, slices, draw, readout, onAxis };
})();
