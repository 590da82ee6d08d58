// The loss of every example over the steps, in the order in which they were learned for good.
landscope.drawers.learning = (() => {
  const { view, format, axes } = landscope;
  const DECADES = 6; // of losses on one scale
  const HARDEST = 4; // in the table
  const orders = new WeakMap(); // history -> positions of its rows

  // As `ExampleHistory.order` has it: by the step, those that are wrong last, and then by the area under the margin.
  const orderOf = (history) => {
    if (!orders.has(history)) {
      const when = Array.from(history.learned.data, (step) => (step < 0 ? Infinity : step));
      const rows = when.map((_, index) => index);
      rows.sort((a, b) => (when[a] === when[b] ? history.aum.data[b] - history.aum.data[a] : when[a] - when[b]));
      orders.set(history, rows);
    }
    return orders.get(history);
  };
  const positionOf = ({ positions }, index) => (positions ? positions.data[index] : index);
  const chosen = () => (view.state.chosen ? view.state.chosen.split(",").map(Number) : []);
  const scaleOf = ({ losses }) => {
    let low = Infinity,
      high = 0;
    losses.data.forEach((loss) => {
      if (loss > 0 && loss < low) low = loss;
      if (Number.isFinite(loss) && loss > high) high = loss;
    });
    return high > 0 ? [Math.max(low, high / 10 ** DECADES), high] : [0.1, 1];
  };
  const colours = (look) => [...look.sequential].reverse().map((colour, index, all) => [index / (all.length - 1), colour]);

  const draw = (shown, graph, base, look, zoom, history) => {
    const order = orderOf(history),
      [low, high] = scaleOf(history);
    const [count, frames] = history.losses.shape;
    const height = (loss) => (Number.isFinite(loss) ? Math.log10(Math.max(loss, low)) : null);
    const rows = order.map((index) =>
      Array.from(history.losses.data.subarray(index * frames, (index + 1) * frames), height),
    );
    const ticks = Array.from({ length: Math.min(5, frames) }, (_, place, all = Math.min(5, frames)) =>
      Math.round((place * (frames - 1)) / Math.max(all - 1, 1)),
    );
    const layout = { ...base, template: look.template };
    layout.xaxis = {
      ...base.xaxis,
      autorange: false,
      range: zoom.xaxis || [-0.5, frames - 0.5],
      tickmode: "array",
      tickvals: ticks,
      ticktext: ticks.map((place) => format.tick(history.steps.data[place])),
      showgrid: false,
    };
    layout.yaxis = { ...base.yaxis, autorange: false, range: zoom.yaxis || [count - 0.5, -0.5], nticks: 5, showgrid: false };
    const marked = new Set(chosen());
    const lines = order.map((_, row) => row).filter((row) => marked.has(positionOf(history, order[row])));
    return landscope.graphs.draw(
      graph,
      [
        {
          type: "heatmap",
          z: rows,
          zmin: Math.log10(low),
          zmax: Math.log10(high),
          colorscale: colours(look),
          showscale: false,
          hoverinfo: "none",
        },
        {
          type: "scatter",
          mode: "markers",
          x: lines.map(() => frames - 0.5),
          y: lines,
          marker: { symbol: "triangle-left", size: 9, color: look.colours.accent },
          cliponaxis: false,
          hoverinfo: "skip",
        },
      ],
      layout,
    );
  };
  const readout = (history, look) => {
    const [low, high] = scaleOf(history),
      count = history.labels.data.length;
    const share = (column, test) => format.share(column.data.filter(test).length / count);
    return [
      {
        swatch: `linear-gradient(90deg, ${[...look.sequential].reverse().join(", ")})`,
        gradient: true,
        label: "loss",
        value: `${format.number(low, 2)} – ${format.number(high, 2)}`,
      },
      { label: "learned", value: share(history.learned, (step) => step >= 0) },
      { label: "forgotten", value: share(history.forgotten, (times) => times > 0) },
      { label: "never right", value: share(history.first, (step) => step < 0) },
    ];
  };
  const table = (history) => {
    const hardest = orderOf(history)
      .slice()
      .sort((a, b) => history.aum.data[a] - history.aum.data[b])
      .slice(0, HARDEST);
    return {
      columns: ["hardest", ...["class", "area", "forgotten", "right since"].map((text) => ({ text, className: "number" }))],
      rows: hardest.map((index) => [
        `example ${format.whole(positionOf(history, index))}`,
        { text: String(history.labels.data[index]), className: "number" },
        { text: format.number(history.aum.data[index], 2), className: "number" },
        { text: `${history.forgotten.data[index]} ×`, className: "number" },
        {
          text: history.learned.data[index] < 0 ? "wrong" : format.whole(history.learned.data[index]),
          className: "number",
        },
      ]),
    };
  };
  // The example whose row is at a place of the graph, null where there is none.
  const pointed = (graph, event, history) => {
    const { xaxis, yaxis } = graph._fullLayout || {};
    if (!history || !yaxis) return null;
    const box = graph.getBoundingClientRect();
    const across = xaxis.p2d(event.clientX - box.left - xaxis._offset);
    const row = Math.round(yaxis.p2d(event.clientY - box.top - yaxis._offset));
    const frames = history.losses.shape[1];
    return across < -0.5 || across > frames - 0.5 ? null : (orderOf(history)[row] ?? null);
  };
  const words = (history, index) => {
    const since = history.learned.data[index];
    return [
      `class ${history.labels.data[index]}`,
      `loss ${format.number(history.losses.data[(index + 1) * history.losses.shape[1] - 1])}`,
      `area ${format.number(history.aum.data[index], 2)}`,
      since >= 0 ? `right since step ${format.whole(since)}` : "wrong now",
      `forgotten ${history.forgotten.data[index]} ×`,
      `example ${format.whole(positionOf(history, index))}`,
    ].join(", ");
  };
  const toggle = (history, row) => {
    const index = orderOf(history)[row];
    if (index === undefined) return;
    const position = positionOf(history, index),
      before = chosen();
    const after = before.includes(position) ? before.filter((one) => one !== position) : [...before, position];
    view.set({ chosen: after.sort((a, b) => a - b).join(",") });
  };
  const clicked = (point, history) => toggle(history, Math.round(point.y));
  const selection = (history) => {
    const marked = new Set(chosen());
    const positions = Array.from(history.labels.data, (_, index) => positionOf(history, index)).filter((one) => marked.has(one));
    return positions.length && history.available ? { available: history.available, positions } : null;
  };
  const details = (history) => [`${history.labels.data.length} examples`, `${history.frames} frames`];

  let present = null;
  const show = (graph, history) => {
    present = history;
    if (!history) landscope.examples.forget(graph);
  };
  const mount = (graph) => landscope.examples.mount(graph, { shown: () => present, pointed, words });
  return { mount, show, draw, readout, details, table, clicked, selection, chosenBy: ["chosen"] };
})();
