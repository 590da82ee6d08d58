// The Fourier spectrum of an embedding of residues, and below it the tokens on the circles of its key frequencies.
landscope.drawers.tokens = (() => {
  const { format } = landscope;
  const CIRCLES = 4; // shown side by side
  const SPLIT = [0.4, 0.66]; // where circles end and the spectrum begins, as shares of the height
  const ROOM = 1.5; // radii of a pure circle that a circle's picture reaches at least

  const circle = (measured, index) => {
    const p = measured.circles.shape[1];
    const at = (token, side) => measured.circles.data[2 * (index * p + token) + side];
    const tokens = Array.from({ length: p }, (_, token) => token);
    return [0, 1].map((side) => tokens.map((token) => at(token, side)));
  };
  const draw = (view, graph, base, look, zoom, measured) => {
    const { colours } = look;
    const keys = Array.from(measured.key.data),
      shown = Math.min(keys.length, CIRCLES);
    const frequencies = Array.from(measured.frequencies.data),
      norms = Array.from(measured.norms.data);
    const top = Math.max(landscope.run.spanOf(view.frames[0])?.hi ?? 0, ...norms, 1e-9);
    const margin = { ...base.margin, t: 10 };
    const layout = { ...base, margin, template: look.template, annotations: [], barmode: "overlay" };
    layout.xaxis = {
      ...base.xaxis,
      anchor: "y",
      autorange: false,
      nticks: 8,
      range: zoom.xaxis || [0, frequencies.at(-1) + 1],
    };
    layout.yaxis = {
      ...base.yaxis,
      autorange: false,
      nticks: 4,
      domain: [shown ? SPLIT[1] : 0, 1],
      range: zoom.yaxis || [0, 1.05 * top],
    };
    const bars = (name, chosen, color, shape) => {
      const kept = frequencies.map((_, index) => index).filter((index) => chosen(frequencies[index]));
      return {
        type: "bar",
        name,
        x: kept.map((index) => frequencies[index]),
        y: kept.map((index) => norms[index]),
        width: 0.8,
        marker: { color, line: { width: 0 }, pattern: { shape, fillmode: "overlay" } },
        hovertemplate: `frequency %{x}<br>norm %{y:.3g}<extra>${name}</extra>`,
      };
    };
    const traces = [
      bars("other", (frequency) => !keys.includes(frequency), colours.first, ""),
      bars("key", (frequency) => keys.includes(frequency), colours.second, "/"),
    ];
    const p = measured.circles.shape[1],
      circles = keys.slice(0, shown).map((_, index) => circle(measured, index));
    const reach = Math.max(
      (ROOM * top) / Math.sqrt(p),
      ...circles.flatMap((sides) => sides.flatMap((side) => side.map(Math.abs))).map((size) => 1.05 * size),
    );
    circles.forEach(([x, y], index) => {
      const tail = index + 2,
        domain = [(index + 0.04) / shown, (index + 0.96) / shown];
      const bare = { autorange: false, showgrid: false, showline: false, showticklabels: false, ticks: "", range: [-reach, reach] };
      layout[`xaxis${tail}`] = { ...bare, domain, anchor: `y${tail}`, constrain: "domain" };
      layout[`yaxis${tail}`] = { ...bare, domain: [0, SPLIT[0]], anchor: `x${tail}`, scaleanchor: `x${tail}`, constrain: "domain" };
      layout.annotations.push({
        text: `k = ${keys[index]}`,
        x: (domain[0] + domain[1]) / 2,
        y: 0,
        xref: "paper",
        yref: "paper",
        xanchor: "center",
        yanchor: "top",
        yshift: -3,
        showarrow: false,
        font: { size: 11, color: colours.muted },
      });
      traces.push({
        type: "scatter",
        mode: "markers",
        name: `frequency ${keys[index]}`,
        x,
        y,
        xaxis: `x${tail}`,
        yaxis: `y${tail}`,
        text: x.map((_, token) => String(token)),
        marker: { size: 4, color: x.map((_, token) => look.cyclic[Math.floor((360 * ((keys[index] * token) % p)) / p)]) },
        hovertemplate: "token %{text}<br>cos %{x:.3g}<br>sin %{y:.3g}<extra></extra>",
      });
    });
    return landscope.graphs.draw(graph, traces, layout);
  };
  const readout = (measured, look) => {
    const count = measured.key.data.length;
    return [
      { swatch: `linear-gradient(${look.colours.second}, ${look.colours.second})`, gradient: true, label: "key", value: String(count) },
      { label: "with", value: `${format.share(measured.share)} of the square` },
      { label: "Gini", value: format.number(measured.gini, 2) },
    ];
  };
  const details = (measured) => [
    measured.weight,
    measured.key.data.length > CIRCLES ? `${CIRCLES} of ${measured.key.data.length} circles` : "",
  ];
  return { draw, readout, details };
})();
