// Measures of sharpness side by side: a table, and below it how far the loss rises within balls around the weights.
landscope.drawers.measures = (() => {
  const { format, axes } = landscope;

  const draw = (view, graph, base, look, zoom, measured) => {
    const { colours } = look;
    const rho = Array.from(measured.rho.data);
    const curves = [
      { name: "several steps", rises: measured.sam_multi_step, color: colours.first, dash: "solid", symbol: "circle" },
      { name: "one step", rises: measured.sam_one_step, color: colours.second, dash: "dash", symbol: "diamond" },
    ].map((curve) => ({ ...curve, rises: Array.from(curve.rises.data) }));
    const known = curves.flatMap(({ rises }) => rises).filter(Number.isFinite);
    const layout = { ...base, margin: { ...base.margin, t: 8 }, template: look.template };
    const axis = (name, values, most) => {
      const logarithmic = values.length > 0 && values.every((value) => value > 0);
      const [low, high] = values.length ? [Math.min(...values), Math.max(...values)] : [0, 1];
      const ticks = logarithmic ? axes.logTicks(low, Math.max(high, 1.1 * low), most) : null;
      layout[name] = {
        ...base[name],
        type: logarithmic ? "log" : "linear",
        autorange: false,
        range: zoom[name] || axes.padded(low, high, logarithmic, 0.08),
        ...(ticks ? { tickmode: "array", tickvals: ticks, ticktext: ticks.map(format.tick) } : { nticks: most }),
      };
    };
    axis("xaxis", rho, 6);
    axis("yaxis", known, 3);
    const traces = curves.map(({ name, rises, color, dash, symbol }) => ({
      type: "scatter",
      mode: "lines+markers",
      name,
      x: rho,
      y: rises.map((rise) => (Number.isFinite(rise) ? rise : null)),
      line: { width: 1.6, color, dash },
      marker: { size: 5, symbol },
      hovertemplate: `ρ %{x:.3g}<br>rise %{y:.3g}<extra>${name}</extra>`,
    }));
    return landscope.graphs.draw(graph, traces, layout);
  };

  const table = ({ names, symbols, settings, values, errors }) => ({
    columns: ["measure", { text: "value", className: "number" }, "formula", "settings"],
    rows: names.map((name, index) => [
      name,
      {
        text: withError(values.data[index], errors.data[index]),
        className: "number",
      },
      { text: symbols[index], className: "quiet" },
      { text: settings[index], className: "quiet" },
    ]),
  });
  const withError = (value, error) =>
    format.number(value) + (Number.isFinite(value) && Number.isFinite(error) ? ` ± ${format.number(error, 2)}` : "");
  const readout = (measured, { colours }) => [
    { swatch: colours.first, label: "SAM, several steps", value: "" },
    { swatch: colours.second, dash: "dash", label: "one step", value: "" },
  ];
  const details = ({ names }) => [`${names.length} measures`];
  return { draw, readout, details, table };
})();
