// Cosines of the class means of a layer's features, every pair of classes, on a scale from -1 to 1.
landscope.drawers.means = (() => {
  const { format } = landscope;
  const TICKED = 12; // classes of which each has a tick

  const draw = (view, graph, base, look, zoom, geometry) => {
    const { cosines, target_cosines: targets } = geometry;
    const layout = { ...base, template: look.template, annotations: [] };
    if (!cosines) {
      const text = "fewer than two classes, or all with the same mean";
      layout.annotations.push({ text, showarrow: false, font: { color: look.colours.muted } });
      return landscope.graphs.draw(graph, [], layout);
    }
    const [count] = cosines.shape;
    const rows = ({ data }) =>
      Array.from({ length: count }, (_, row) => Array.from(data.subarray(row * count, (row + 1) * count)));
    const ticks = count <= TICKED ? { tickmode: "linear", tick0: 0, dtick: 1 } : { nticks: 6 };
    const axis = { autorange: false, showgrid: false, constrain: "domain", ...ticks };
    layout.xaxis = { ...base.xaxis, ...axis, range: zoom.xaxis || [-0.5, count - 0.5] };
    layout.yaxis = { ...base.yaxis, ...axis, range: zoom.yaxis || [count - 0.5, -0.5], scaleanchor: "x" };
    const trace = {
      type: "heatmap",
      z: rows(cosines),
      zmin: -1,
      zmax: 1,
      colorscale: look.signed,
      showscale: false,
      ...(targets ? { customdata: rows(targets) } : {}),
      hovertemplate: `classes %{y}, %{x}<br>cosine %{z:.3f}${targets ? "<br>target %{customdata:.3f}" : ""}<extra></extra>`,
    };
    return landscope.graphs.draw(graph, [trace], layout);
  };
  const readout = (geometry, look) => {
    const items = [
      {
        swatch: `linear-gradient(90deg, ${look.signed.map(([, colour]) => colour).join(", ")})`,
        gradient: true,
        label: "cosine",
        value: "−1 – 1",
      },
    ];
    if (Number.isFinite(geometry.nc2_angles))
      items.push({ label: `off the ${geometry.target}`, value: format.number(geometry.nc2_angles, 2) });
    return items;
  };
  const details = (geometry) => [`layer ${geometry.layer}`, geometry.classes ? `${geometry.classes} classes` : ""];
  const options = () => ({ style: "means" });
  return { draw, readout, details, options };
})();
