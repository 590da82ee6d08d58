// The density of the Hessian's eigenvalues. Every frame has its own signed-log scale; all are drawn on one, so that the
// axis holds still: with u = asinh(λ/s) the density per unit of u₀ = asinh(λ/s₀) is the measured one times du/du₀.
landscope.spectrumPanel = (() => {
  const DECADES = 2.5; // shown below the outermost eigenvalue of every frame
  const MOST_DECADES = 12;
  const POINTS = 320;
  const frameName = () => "density";

  const axis = (threshold) => {
    const span = landscope.run.spanOf("density") || { lo: -1, hi: 1 };
    const largest = Math.max(Math.abs(span.lo), Math.abs(span.hi), 1e-30);
    const { lo, hi } = landscope.run.data.frames.get("density");
    // Curvature may fall by orders of magnitude over a run: the axis must still resolve its smallest frame.
    const smallest = hi.reduce(
      (least, high, index) => Math.min(least, Math.max(Math.abs(lo[index]), Math.abs(high)) || least),
      largest,
    );
    const scale = 10 ** Math.floor(Math.log10(Math.max(smallest / 10 ** DECADES, largest / 10 ** MOST_DECADES)));
    const high = threshold && threshold > span.hi && threshold < 30 * span.hi ? 1.3 * threshold : span.hi;
    return { scale, low: span.lo, high };
  };
  // A round height above all that was shown of this run, so that it hardly ever moves.
  let highest = { run: null, top: 10 };
  const ceiling = (height) => {
    if (highest.run !== landscope.run.data.id) highest = { run: landscope.run.data.id, top: 10 };
    highest.top = Math.max(highest.top, 10 ** Math.ceil(Math.log10(height)));
    return highest.top;
  };
  const evenly = (from, to, count) => Array.from({ length: count }, (_, i) => from + ((to - from) * i) / (count - 1));
  // A frame's own grid is even in its own u, where the curves are smooth: between its points they are read off there.
  const resampled = (density, grid) => {
    const own = Array.from(density.grid.data, (value) => Math.asinh(value / density.scale));
    const step = (own.at(-1) - own[0]) / (own.length - 1);
    const at = grid.map((value) => {
      const position = (Math.asinh(value / density.scale) - own[0]) / step;
      return Math.min(Math.max(position, 0), own.length - 1);
    });
    return (field) => {
      const { data } = density[field];
      return at.map((position) => {
        const left = Math.min(Math.floor(position), data.length - 2);
        return data[left] + (position - left) * (data[left + 1] - data[left]);
      });
    };
  };
  const draw = (panel, graph, base, look, zoom, density) => {
    const { colours } = look;
    const { scale, low, high } = axis(density.threshold);
    const place = (value) => Math.asinh(value / scale);
    const u = evenly(place(density.grid.data[0]), place(density.grid.data.at(-1)), POINTS);
    const grid = u.map((value) => scale * Math.sinh(value));
    const measured = resampled(density, grid);
    const floor = 10 ** (Math.floor(-Math.log10(Math.max(density.provenance.parameters, 100))) - 1);
    const stem = floor * 10 ** (0.35 * -Math.log10(floor));
    const heights = (field) =>
      measured(field).map((value, index) => {
        const stretch = Math.hypot(grid[index], scale) / Math.hypot(grid[index], density.scale);
        return Math.max(value * stretch, floor);
      });
    const top = ceiling(Math.max(...heights("high")));
    const spikes = Array.from(density.spikes.data),
      bounds = Array.from(density.spike_residuals.data);
    const line = { type: "scatter", mode: "lines", x: u, hoverinfo: "skip", line: { width: 0 } };
    const traces = [
      { ...line, y: heights("low") },
      { ...line, y: heights("high"), fill: "tonexty", fillcolor: `${colours.first}38` },
      {
        ...line,
        y: heights("density"),
        line: { width: 1.6, color: colours.first },
        hoverinfo: "all",
        text: grid.map((value) => landscope.format.number(value)),
        hovertemplate: "λ %{text}<br>density %{y:.2g}<extra></extra>",
      },
      {
        type: "scatter",
        mode: "lines",
        x: spikes.flatMap((value) => [place(value), place(value), null]),
        y: spikes.flatMap(() => [floor, stem, null]),
        line: { width: 1, color: colours.second },
        hoverinfo: "skip",
      },
      {
        type: "scatter",
        mode: "markers",
        x: spikes.map(place),
        y: spikes.map(() => stem),
        marker: { size: 5, color: colours.second },
        text: spikes.map(
          (value, index) => `${landscope.format.number(value)} ± ${landscope.format.number(bounds[index] ?? 0, 1)}`,
        ),
        hovertemplate: "λ %{text}<extra></extra>",
      },
    ];
    const ticks = landscope.axes.apart(
      landscope.axes.signedTicks(low, high, scale, 12),
      place,
      0.15 * (place(high) - place(low)),
    );
    const layout = { ...base, template: look.template, uirevision: "kept", shapes: [], annotations: [] };
    layout.xaxis = {
      ...base.xaxis,
      autorange: false,
      tickangle: 0,
      range: zoom.xaxis || landscope.axes.padded(place(low), place(high), false, 0.02),
      tickmode: "array",
      tickvals: ticks.map(place),
      ticktext: ticks.map(landscope.format.tick),
    };
    const heightTicks = landscope.axes.logTicks(floor, top, 5);
    layout.yaxis = {
      ...base.yaxis,
      dtick: null,
      autorange: false,
      range: zoom.yaxis || [Math.log10(floor), Math.log10(top)],
      tickmode: "array",
      tickvals: heightTicks,
      ticktext: heightTicks.map(landscope.format.tick),
    };
    if (density.threshold) {
      const x = place(density.threshold);
      layout.shapes = [
        {
          type: "line",
          x0: x,
          x1: x,
          y0: 0,
          y1: 1,
          yref: "paper",
          line: { width: 1.2, dash: "dash", color: colours.muted },
        },
      ];
    }
    return Plotly.react(graph, traces, layout);
  };
  const readout = (density, look) => {
    const { number } = landscope.format;
    const items = [];
    if (density.spikes.data.length)
      items.push({ swatch: look.colours.second, label: "λ max", value: number(density.spikes.data[0]) });
    items.push({
      swatch: look.colours.first,
      label: "trace",
      value: `${number(density.trace)} ± ${number(density.trace_stderr, 1)}`,
    });
    if (density.threshold)
      items.push({ swatch: look.colours.muted, dash: "dash", label: "limit", value: number(density.threshold) });
    return items;
  };
  const details = (density) => [`${density.hvps} products`];
  return { frameName, draw, readout, details };
})();
