// The density of the Hessian's eigenvalues at one step.
landscope.drawers.density = (() => {
  const { axis, ceiling, evenly, resampled, floorOf, eigenvalueTicks } = landscope.densities;
  const POINTS = 320;

  const draw = (view, graph, base, look, zoom, density) => {
    const { colours } = look;
    const { scale, low, high } = axis(density.threshold);
    const place = (value) => Math.asinh(value / scale);
    const u = evenly(place(density.grid.data[0]), place(density.grid.data.at(-1)), POINTS);
    const grid = u.map((value) => scale * Math.sinh(value));
    const measured = resampled(density, grid, scale);
    const floor = floorOf(density);
    const stem = floor * 10 ** (0.35 * -Math.log10(floor));
    const heights = (field) => measured(field).map((value) => Math.max(value, floor));
    const top = ceiling(Math.max(...heights("high")));
    const both = (positive, negative) => [...positive.data, ...(negative?.data || [])];
    const spikes = both(density.spikes, density.negative_spikes),
      bounds = both(density.spike_residuals, density.negative_residuals);
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
    const ticks = eigenvalueTicks({ scale, low, high }, 0.15);
    const layout = { ...base, template: look.template, shapes: [], annotations: [] };
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
    return landscope.graphs.draw(graph, traces, layout);
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
  return { draw, readout, details };
})();
