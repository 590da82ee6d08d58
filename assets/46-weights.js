// Every parameter of the network: a table of its measures, and below it how far it has come since the start.
landscope.drawers.weights = (() => {
  const { format } = landscope;
  const MOST = 24; // bars: of more parameters those that came furthest

  const TITLES = { "σ₁": "largest singular value", moved: "distance from the start", "W₂": "Wasserstein distance from the start" };

  const at = (column, index) => (column ? column.data[index] : NaN);
  const ratio = ({ distances, start_norms: lengths }, index) => at(distances, index) / at(lengths, index);

  const draw = (view, graph, base, look, zoom, weights) => {
    const known = weights.names.map((_, index) => index).filter((index) => Number.isFinite(ratio(weights, index)));
    const furthest = [...known].sort((a, b) => ratio(weights, b) - ratio(weights, a)).slice(0, MOST);
    const shown = known.filter((index) => furthest.includes(index));
    const names = shown.map((index) => format.ending(weights.names[index]));
    const layout = { ...base, template: look.template, annotations: [] };
    layout.margin = { ...base.margin, l: 24 + 6.5 * Math.max(...names.map(({ length }) => length), 4) };
    const most = Math.max(...shown.map((index) => ratio(weights, index)), 1e-9);
    layout.xaxis = { ...base.xaxis, autorange: false, range: zoom.xaxis || [0, 1.08 * most], nticks: 5 };
    const every = Math.max(Math.ceil((14 * shown.length) / Math.max(graph.clientHeight - 40, 14)), 1);
    const named = shown.map((_, place) => place).filter((place) => place % every === 0);
    layout.yaxis = {
      ...base.yaxis,
      title: { text: "" },
      autorange: false,
      range: zoom.yaxis || [shown.length - 0.5, -0.5],
      tickmode: "array",
      tickvals: named,
      ticktext: named.map((place) => names[place]),
      showgrid: false,
    };
    if (!shown.length)
      layout.annotations.push({ text: "the weights at the start are not known", showarrow: false, font: { color: look.colours.muted } });
    const trace = {
      type: "bar",
      orientation: "h",
      x: shown.map((index) => ratio(weights, index)),
      y: shown.map((_, place) => place),
      marker: { color: look.colours.first },
      customdata: shown.map((index) => weights.names[index]),
      hovertemplate: "%{customdata}<br>%{x:.3g} of its length at the start<extra></extra>",
    };
    return landscope.graphs.draw(graph, [trace], layout);
  };
  const number = (value) => ({ text: Number.isFinite(value) ? format.number(value) : "–", className: "number" });
  const table = (weights) => ({
    columns: [
      "parameter",
      ...["norm", "σ₁", "stable rank", "moved", "W₂"].map((text) => ({
        text,
        className: "number",
        title: TITLES[text] || text,
      })),
    ],
    rows: weights.names.map((name, index) => [
      { text: format.ending(name), title: name },
      number(weights.norms.data[index]),
      number(weights.largest.data[index]),
      number(weights.stable_ranks.data[index]),
      number(at(weights.distances, index)),
      number(at(weights.wassersteins, index)),
    ]),
  });
  const readout = ({ norms, distances }, look) => {
    const length = (column) => Math.hypot(...column.data);
    const items = [{ label: "‖θ‖", value: format.number(length(norms)) }];
    if (distances) items.push({ swatch: look.colours.first, label: "‖θ − θ₀‖", value: format.number(length(distances)) });
    return items;
  };
  const details = ({ names }) => [`${names.length} parameters`];
  const options = ({ distances }) => (distances ? { style: "distance" } : {});
  return { draw, readout, details, table, options };
})();
