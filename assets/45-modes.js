// The residual along the first kernel's eigenvectors over time: measured as marks, predicted of a fixed kernel as lines.
landscope.drawers.modes = (() => {
  const { format, axes } = landscope;
  const DECADES = 5; // below the largest residual
  const POINTS = 160; // of a predicted line

  const parts = (modes) => {
    const [times, count] = modes.residuals.shape;
    const ranks = Array.from({ length: count }, (_, index) => index);
    const moments = Array.from(modes.times.data);
    return { times, count, ranks, moments };
  };
  const draw = (view, graph, base, look, zoom, modes) => {
    const { times, count, ranks, moments } = parts(modes);
    const later = moments.filter((time) => time > 0);
    const from = later.length ? later[0] : 1,
      to = Math.max(later.at(-1) || 1, 10 * from);
    const largest = Math.max(...modes.residuals.data.map(Math.abs), 1e-30);
    const floor = largest / 10 ** DECADES;
    const fine = Array.from({ length: POINTS }, (_, i) => from * (to / from) ** (i / (POINTS - 1)));
    const last = look.sequential.length - 1;
    const traces = ranks.flatMap((mode) => {
      const colour = look.sequential[count > 1 ? Math.round((last * mode) / (count - 1)) : 0];
      const start = Math.abs(modes.residuals.data[mode]),
        decay = modes.rate * modes.eigenvalues.data[mode];
      const predicted = fine.map((time) => start * Math.exp(-decay * time));
      const measured = moments.map((_, index) => Math.abs(modes.residuals.data[index * count + mode]));
      const kept = moments.map((time, index) => index).filter((index) => moments[index] > 0 && measured[index] > 0);
      return [
        {
          type: "scatter",
          mode: "lines",
          name: `predicted, mode ${mode + 1}`,
          x: fine,
          y: predicted.map((value) => (value > floor ? value : null)),
          line: { width: 1.4, color: colour, dash: "dash" },
          hovertemplate: `predicted %{y:.3g}<extra>mode ${mode + 1}</extra>`,
        },
        {
          type: "scatter",
          mode: "markers",
          name: `measured, mode ${mode + 1}`,
          x: kept.map((index) => moments[index]),
          y: kept.map((index) => measured[index]),
          marker: { size: times > 40 ? 3.5 : 5, color: colour },
          hovertemplate: `%{y:.3g} at time %{x:.3g}<extra>mode ${mode + 1}</extra>`,
        },
      ];
    });
    const layout = { ...base, template: look.template };
    const logarithmic = (low, high, own) => {
      const ticks = axes.logTicks(low, high, 5);
      const names = { tickmode: "array", tickvals: ticks, ticktext: ticks.map(format.tick) };
      return { type: "log", autorange: false, range: own || axes.padded(low, high, true, 0.03), ...names };
    };
    layout.xaxis = { ...base.xaxis, ...logarithmic(from, to, zoom.xaxis) };
    layout.yaxis = { ...base.yaxis, ...logarithmic(floor, largest, zoom.yaxis) };
    return landscope.graphs.draw(graph, traces, layout);
  };
  // |r - predicted| / |r(0)| at the last time, as `Eigenmodes.error` says.
  const errorOf = (modes) => {
    const { times, count, ranks } = parts(modes);
    const square = (value) => value * value;
    const at = (array, mode) => array.data[(times - 1) * count + mode];
    const off = ranks.reduce((sum, mode) => sum + square(at(modes.residuals, mode) - at(modes.predicted, mode)), 0);
    const start = ranks.reduce((sum, mode) => sum + square(modes.residuals.data[mode]), 0);
    return Math.sqrt(off / start);
  };
  const readout = (modes, look) => [
    {
      swatch: `linear-gradient(90deg, ${look.sequential[0]}, ${look.sequential.at(-1)})`,
      gradient: true,
      label: `modes 1–${modes.residuals.shape[1]}`,
      value: "",
    },
    { swatch: look.colours.muted, dash: "dash", label: "a fixed kernel's", value: "" },
    { label: "off by", value: format.share(errorOf(modes)) },
  ];
  const details = (modes) => [`time ${format.number(modes.times.data.at(-1))}`];
  return { draw, readout, details };
})();
