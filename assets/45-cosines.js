// How alike the gradients of two examples are, block by block in the order of the classes.
landscope.drawers.cosines = (() => {
  const draw = (view, graph, base, look, zoom, kernel) => {
    const { colours } = look;
    const layout = { ...base, template: look.template, shapes: [], annotations: [] };
    if (!kernel.cosines) {
      layout.annotations.push({ text: "every gradient is zero", showarrow: false, font: { color: colours.muted } });
      return landscope.graphs.draw(graph, [], layout);
    }
    const [count] = kernel.cosines.shape;
    const rows = Array.from({ length: count }, (_, row) =>
      Array.from(kernel.cosines.data.subarray(row * count, (row + 1) * count)),
    );
    const middles = Array.from({ length: count }, (_, index) => index + 0.5);
    const line = { width: 0.6, color: colours.text };
    layout.shapes = kernel.borders.flatMap((place) => [
      { type: "line", x0: place, x1: place, y0: 0, y1: count, line },
      { type: "line", x0: 0, x1: count, y0: place, y1: place, line },
    ]);
    const axis = { autorange: false, showticklabels: false, ticks: "", showgrid: false };
    layout.xaxis = { ...base.xaxis, ...axis, range: zoom.xaxis || [0, count], constrain: "domain" };
    layout.yaxis = { ...base.yaxis, ...axis, range: zoom.yaxis || [count, 0], scaleanchor: "x", constrain: "domain" };
    const trace = {
      type: "heatmap",
      x: middles,
      y: middles,
      z: rows,
      zmin: -1,
      zmax: 1,
      colorscale: look.signed,
      showscale: false,
      hovertemplate: "cosine %{z:.2f}<extra></extra>",
    };
    return landscope.graphs.draw(graph, [trace], layout);
  };
  const readout = (kernel, look) => {
    const items = [
      {
        swatch: `linear-gradient(90deg, ${look.signed.map(([, colour]) => colour).join(", ")})`,
        gradient: true,
        label: "cosine",
        value: "−1 – 1",
      },
    ];
    if (Number.isFinite(kernel.alignment))
      items.push({ label: "label alignment", value: landscope.format.number(kernel.alignment), after: false });
    return items;
  };
  const details = (kernel) => [`${kernel.gram_kind} kernel`];
  const options = () => ({ style: "cosines" });
  return { draw, readout, details, options };
})();
