// Features of one layer in the plane; up to ten classes are named where their points are.
landscope.drawers.embedding = (() => {
  const { format, pointColours, cloud } = landscope;
  const USUAL = 0.8,
    FADED = 0.12; // opacities: of points, and of those not selected where some are
  const MANY = 800; // points that are drawn smaller
  const NAMES = { pca: "PC", fixed: "PC", umap: "UMAP ", means: "class means ", sphere: "direction " };

  const median = (values) => {
    const sorted = [...values].sort((a, b) => a - b);
    return sorted[sorted.length >> 1];
  };
  const coordinates = ({ points }) => {
    const [count, dimensions] = points.shape;
    const column = (place) => Float64Array.from({ length: count }, (_, index) => points.data[index * dimensions + place]);
    return [column(0), column(1)];
  };
  const names = (projection, x, y, look) => {
    const classes = pointColours.groups(projection);
    if (!classes) return [];
    const members = new Map();
    classes.forEach((label, index) => {
      if (label < 0) return;
      if (!members.has(label)) members.set(label, []);
      members.get(label).push(index);
    });
    return [...members].map(([label, indices]) => ({
      x: median(indices.map((index) => x[index])),
      y: median(indices.map((index) => y[index])),
      text: `<b>${label}</b>`,
      showarrow: false,
      font: { size: 12, color: look.colours.text },
      bgcolor: `${look.colours.surface}cc`,
      borderpad: 1,
    }));
  };

  const draw = async (view, graph, base, look, zoom, projection) => {
    const [x, y] = coordinates(projection);
    const selected = landscope.points.selected(projection),
      some = selected.includes(true);
    const span = landscope.run.spanOf(view.frames[0]) || { lo: -1, hi: 1 };
    const middle = (span.lo + span.hi) / 2,
      half = 0.54 * Math.max(span.hi - span.lo, 1e-9);
    const { l, r, t, b } = base.margin;
    const wide = Math.max((graph.clientWidth - l - r) / Math.max(graph.clientHeight - t - b, 1), 0.2);
    const reach = (share) => [middle - half * share, middle + half * share];
    const name = NAMES[projection.method] || `${projection.method.toUpperCase()} `;
    const axis = (place, range) => ({
      ...base[`${place}axis`],
      title: { text: `${name}${place === "x" ? 1 : 2} (no unit)` },
      range: zoom[`${place}axis`] || range,
      nticks: 5,
      autorange: false,
      scaleanchor: undefined,
    });
    const clear = "rgba(0,0,0,0)"; // the points are behind
    const layout = {
      ...base,
      template: look.template,
      paper_bgcolor: clear,
      plot_bgcolor: clear,
      annotations: some ? [] : names(projection, x, y, look), // they would lie over what is selected
      dragmode: landscope.points.lasso() ? "lasso" : "zoom",
      selections: [],
      newselection: { line: { color: look.colours.accent, width: 1.5, dash: "dot" } },
      xaxis: axis("x", reach(Math.max(wide, 1))),
      yaxis: axis("y", reach(Math.max(1 / wide, 1))),
    };
    const empty = { type: "scatter", mode: "markers", x: [null], y: [null], hoverinfo: "skip" };
    await landscope.graphs.draw(graph, [empty], layout);
    const opacity = some ? selected.map((one) => (one ? 1 : FADED)) : selected.map(() => USUAL);
    cloud.paint(graph, { x, y, opacity, radius: x.length > MANY ? 2 : 2.5, ...pointColours.marks(projection, look) });
  };
  const readout = (projection, look) => {
    const items = pointColours.legend(projection, look);
    [
      ["trust", projection.trustworthiness, ""],
      ["continuity", projection.continuity, ""],
      ["moved", projection.displacement, " radii"],
      ["features", projection.feature_displacement, ""],
    ].forEach(([label, value, unit]) => {
      if (Number.isFinite(value)) items.push({ label, value: format.number(value, 2) + unit });
    });
    return items;
  };
  const details = (projection) => [
    `layer ${projection.layer}`,
    `${projection.features} features`,
    Number.isFinite(projection.explained) ? `${format.share(projection.explained)} of the variance` : "",
    projection.classes ? `${projection.classes} classes` : "",
    projection.points.shape[1] > 2 ? `first 2 of ${projection.points.shape[1]} dimensions` : "",
  ];
  const options = (projection) => {
    const colour = pointColours.chosen(projection);
    return colour === "class" ? {} : { colour };
  };
  const summary = (projection) => landscope.points.summary(projection);
  const selection = (projection) => landscope.points.selection(projection);
  return { draw, readout, details, options, summary, selection, coordinates };
})();
