// Outputs of the linearised network over those of the network: on the diagonal they agree.
landscope.drawers.linearised = (() => {
  const { format, axes } = landscope;
  const MOST = 1500; // marks

  let held = { run: null, low: Infinity, high: -Infinity };
  const hold = (...arrays) => {
    if (held.run !== landscope.run.data.id) held = { run: landscope.run.data.id, low: Infinity, high: -Infinity };
    arrays.forEach(({ data }) =>
      data.forEach((value) => {
        if (!Number.isFinite(value)) return;
        held.low = Math.min(held.low, value);
        held.high = Math.max(held.high, value);
      }),
    );
    return held.low < held.high ? [held.low, held.high] : [-1, 1];
  };
  const draw = (view, graph, base, look, zoom, pair) => {
    const { colours } = look;
    const { data: actual, shape } = pair.actual,
      { data: linear } = pair.linearised;
    const each = actual.length / shape[0]; // outputs of an example
    const stride = Math.ceil(actual.length / MOST);
    const chosen = Array.from({ length: Math.floor(actual.length / stride) }, (_, index) => index * stride);
    const right = (index) => pair.labels && pair.labels.data[Math.floor(index / each)] === index % each;
    const [low, high] = hold(pair.actual, pair.linearised);
    const marks = (name, kept, colour, symbol) => ({
      type: "scatter",
      mode: "markers",
      name,
      x: kept.map((index) => actual[index]),
      y: kept.map((index) => linear[index]),
      marker: { size: 4, color: colour, symbol, opacity: 0.6, line: { width: 0 } },
      hovertemplate: `network %{x:.3g}<br>linearised %{y:.3g}<extra>${name}</extra>`,
    });
    const traces = [
      {
        type: "scatter",
        mode: "lines",
        x: [low, high],
        y: [low, high],
        line: { width: 1.2, dash: "dash", color: colours.muted },
        hoverinfo: "skip",
      },
    ];
    if (pair.labels && each > 1) {
      traces.push(marks("other outputs", chosen.filter((index) => !right(index)), colours.first, "circle"));
      traces.push(marks("the label's output", chosen.filter(right), colours.second, "diamond"));
    } else traces.push(marks("outputs", chosen, colours.first, "circle"));
    const layout = { ...base, template: look.template };
    const range = axes.padded(low, high, false, 0.04);
    layout.xaxis = { ...base.xaxis, autorange: false, nticks: 6, range: zoom.xaxis || range };
    layout.yaxis = { ...base.yaxis, autorange: false, nticks: 6, range: zoom.yaxis || range };
    return landscope.graphs.draw(graph, traces, layout);
  };
  // |f - linearised| / |f - f₀|, as `Linearisation.error` says.
  const errorOf = ({ initial, actual, linearised }) => {
    let off = 0,
      moved = 0;
    actual.data.forEach((value, index) => {
      off += (value - linearised.data[index]) ** 2;
      moved += (value - initial.data[index]) ** 2;
    });
    return moved > 0 ? Math.sqrt(off / moved) : 0;
  };
  const readout = (pair, look) => {
    const items = [{ label: "off by", value: `${format.share(errorOf(pair))} of the way` }];
    if (pair.labels && pair.actual.data.length > pair.actual.shape[0])
      items.push({ swatch: look.colours.second, dot: true, label: "the label's output", value: "" });
    items.push({ label: "loss", value: format.number(pair.loss) });
    items.push({ label: "linearised", value: format.number(pair.linearised_loss) });
    return items;
  };
  const details = (pair) => [`${format.number(pair.distance)} from the start`];
  return { draw, readout, details };
})();
