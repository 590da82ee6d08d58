// How alike sets of features of the same examples are, every pair of them, on a scale from 0 to 1.
landscope.drawers.similarity = (() => {
  const { format } = landscope;
  const ROOM = 13, // pixels that a label needs below the next
    LETTER = 6.5; // and its letters beside each other
  const LONGEST = 10; // letters of a label; of a longer name the end says more

  const label = (name) => {
    if (/^\d{6,}$/.test(name)) return format.tick(Number(name));
    return name.length > LONGEST ? `…${name.slice(1 - LONGEST)}` : name;
  };
  // Every so many of the names, as far as they fit, and always the first.
  const labelled = (names, pixels, each) => {
    const every = Math.max(Math.ceil((names.length * each) / Math.max(pixels, 1)), 1);
    const shown = names.map((_, index) => index).filter((index) => index % every === 0);
    return { tickmode: "array", tickvals: shown, ticktext: shown.map((index) => label(names[index])) };
  };
  const draw = (view, graph, base, look, zoom, similarity) => {
    const { values, rows, columns } = similarity,
      [down, across] = values.shape;
    const width = (names) => LETTER * Math.max(...names.map((name) => label(name).length));
    const margin = { ...base.margin, l: Math.max(base.margin.l, width(rows) + 28) };
    const side = Math.min(graph.clientWidth - margin.l - margin.r, graph.clientHeight - margin.t - margin.b);
    const axis = { autorange: false, showgrid: false, constrain: "domain", tickangle: 0 };
    const layout = { ...base, margin, template: look.template, annotations: [] };
    layout.xaxis = {
      ...base.xaxis,
      ...axis,
      ...labelled(columns, side, width(columns) + 8),
      range: zoom.xaxis || [-0.5, across - 0.5],
    };
    layout.yaxis = {
      ...base.yaxis,
      ...axis,
      ...labelled(rows, side, ROOM),
      range: zoom.yaxis || [down - 0.5, -0.5],
      scaleanchor: "x",
    };
    const cells = Array.from({ length: down }, (_, row) =>
      Array.from(values.data.subarray(row * across, (row + 1) * across), (value) => (Number.isFinite(value) ? value : null)),
    );
    const kind = base.xaxis.title.text;
    const trace = {
      type: "heatmap",
      z: cells,
      zmin: 0,
      zmax: 1,
      colorscale: look.shades,
      showscale: false,
      customdata: rows.map((row) => columns.map((column) => `${row}, ${column}`)),
      hovertemplate: `${kind}s %{customdata}<br>CKA %{z:.3f}<extra></extra>`,
    };
    return landscope.graphs.draw(graph, [trace], layout);
  };
  const readout = ({ values, rows }, look) => {
    const items = [
      {
        swatch: `linear-gradient(90deg, ${look.shades.map(([, colour]) => colour).join(", ")})`,
        gradient: true,
        label: "CKA",
        value: "0 – 1",
      },
    ];
    const ends = values.data[rows.length - 1];
    if (rows.length > 1 && Number.isFinite(ends)) items.push({ label: "first with last", value: format.number(ends, 2) });
    return items;
  };
  const details = ({ rows }) => [`${rows.length} × ${rows.length}`];
  return { draw, readout, details };
})();
