// Features of one layer in the plane, coloured by class; up to ten classes are named where their points are.
landscope.drawers.embedding = (() => {
  const NAMED = 10;
  const hues = (classes, look) => (label) => {
    if (label < 0) return look.colours.muted;
    return classes <= NAMED
      ? look.colours.palette[label % NAMED]
      : look.cyclic[Math.floor((360 * label) / classes) % 360];
  };
  const median = (values) => {
    const sorted = [...values].sort((a, b) => a - b);
    return sorted[sorted.length >> 1];
  };

  const draw = (view, graph, base, look, zoom, projection) => {
    const [count, dimensions] = projection.points.shape;
    const labels = [],
      x = [],
      y = [],
      hue = hues(projection.classes, look);
    for (let index = 0; index < count; index += 1) {
      const [across, up] = projection.points.data.subarray(index * dimensions, index * dimensions + 2);
      if (Number.isFinite(across) && Number.isFinite(up)) {
        x.push(across);
        y.push(up);
        labels.push(projection.labels.data[index]);
      }
    }
    const span = landscope.run.spanOf("embedding") || { lo: -1, hi: 1 };
    const middle = (span.lo + span.hi) / 2,
      half = 0.54 * Math.max(span.hi - span.lo, 1e-9);
    const { l, r, t, b } = base.margin;
    const wide = Math.max((graph.clientWidth - l - r) / Math.max(graph.clientHeight - t - b, 1), 0.2);
    const reach = (share) => [middle - half * share, middle + half * share];
    const layout = { ...base, template: look.template, annotations: [] };
    const name = projection.method === "pca" ? "PC" : `${projection.method.toUpperCase()} `;
    layout.xaxis = {
      ...base.xaxis,
      title: { text: `${name}1 (no unit)` },
      range: zoom.xaxis || reach(Math.max(wide, 1)),
      nticks: 5,
      autorange: false,
      scaleanchor: undefined,
    };
    layout.yaxis = {
      ...base.yaxis,
      title: { text: `${name}2 (no unit)` },
      range: zoom.yaxis || reach(Math.max(1 / wide, 1)),
      nticks: 5,
      autorange: false,
      scaleanchor: undefined,
    };
    if (projection.classes <= NAMED) {
      const groups = new Map();
      labels.forEach((label, index) => {
        if (label >= 0) {
          if (!groups.has(label)) groups.set(label, []);
          groups.get(label).push(index);
        }
      });
      layout.annotations = [...groups].map(([label, members]) => ({
        x: median(members.map((index) => x[index])),
        y: median(members.map((index) => y[index])),
        text: `<b>${label}</b>`,
        showarrow: false,
        font: { size: 12, color: look.colours.text },
        bgcolor: `${look.colours.surface}cc`,
        borderpad: 1,
      }));
    }
    const trace = {
      type: "scatter",
      mode: "markers",
      x,
      y,
      text: labels.map((label) => (label < 0 ? "no class" : `class ${label}`)),
      hovertemplate: "%{text}<extra></extra>",
      marker: { size: count > 800 ? 4 : 5, opacity: 0.8, color: labels.map(hue), line: { width: 0 } },
    };
    return Plotly.react(graph, [trace], layout);
  };
  const readout = (projection, look) => {
    const { number, share } = landscope.format;
    const items = [{ label: "layer", value: projection.layer }];
    if (projection.explained !== null && projection.explained !== undefined)
      items.push({ label: "variance kept", value: share(projection.explained) });
    if (Number.isFinite(projection.trustworthiness))
      items.push({ label: "trust", value: number(projection.trustworthiness) });
    if (!projection.points.data.every(Number.isFinite))
      items.push({ label: "some features are not finite", value: "" });
    if (projection.classes > NAMED)
      items.push({
        label: `classes 0–${projection.classes - 1}`,
        value: "",
        swatch: `linear-gradient(90deg, ${[0, 60, 120, 180, 240, 300, 359].map((hue) => look.cyclic[hue]).join(", ")})`,
        gradient: true,
      });
    return items;
  };
  const details = (projection) => [
    `${projection.features} features`,
    projection.classes ? `${projection.classes} classes` : "",
  ];
  return { draw, readout, details };
})();
