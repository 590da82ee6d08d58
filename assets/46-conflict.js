// Whether the gradients of two classes agree, every pair of them, on a scale from -1 to 1.
landscope.drawers.conflict = (() => {
  const { format } = landscope;

  const draw = (view, graph, base, look, zoom, conflict) => {
    const { parts, cosines } = conflict,
      count = parts.length;
    const rows = parts.map((_, row) =>
      Array.from(cosines.data.subarray(row * count, (row + 1) * count), (value) => (Number.isFinite(value) ? value : null)),
    );
    const every = Math.max(Math.ceil((16 * count) / Math.max(graph.clientHeight - base.margin.t - base.margin.b, 1)), 1);
    const shown = parts.map((_, index) => index).filter((index) => index % every === 0);
    const axis = {
      autorange: false,
      showgrid: false,
      constrain: "domain",
      tickmode: "array",
      tickvals: shown,
      ticktext: shown.map((index) => parts[index]),
    };
    const layout = { ...base, template: look.template };
    layout.xaxis = { ...base.xaxis, ...axis, range: zoom.xaxis || [-0.5, count - 0.5] };
    layout.yaxis = { ...base.yaxis, ...axis, range: zoom.yaxis || [count - 0.5, -0.5], scaleanchor: "x" };
    const trace = {
      type: "heatmap",
      z: rows,
      zmin: -1,
      zmax: 1,
      colorscale: look.signed,
      showscale: false,
      customdata: parts.map((row) => parts.map((column) => `${row}, ${column}`)),
      hovertemplate: "classes %{customdata}<br>cosine %{z:.3f}<extra></extra>",
    };
    return landscope.graphs.draw(graph, [trace], layout);
  };
  const readout = ({ parts, cosines }, look) => {
    const pairs = [];
    parts.forEach((_, row) => {
      for (let column = row + 1; column < parts.length; column += 1) pairs.push(cosines.data[row * parts.length + column]);
    });
    const known = pairs.filter(Number.isFinite);
    const items = [
      {
        swatch: `linear-gradient(90deg, ${look.signed.map(([, colour]) => colour).join(", ")})`,
        gradient: true,
        label: "cosine",
        value: "−1 – 1",
      },
    ];
    if (known.length)
      items.push(
        { label: "in conflict", value: format.share(known.filter((one) => one < 0).length / known.length) },
        { label: "least", value: format.number(Math.min(...known), 2) },
      );
    return items;
  };
  const details = ({ parts }) => [`${parts.length} classes`];
  return { draw, readout, details };
})();
