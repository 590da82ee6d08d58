// The loss along some directions beside its quadratic model: a small picture for each, shaded as far as the model holds.
landscope.drawers.taylor = (() => {
  const { format, heights } = landscope;
  const ACROSS = 2;
  const GAP = { x: 48, y: 44 }; // pixels between pictures, for their labels
  const HELD = "1f"; // opacity of the shading, in hexadecimal

  const row = ({ data, shape }, index) => Array.from(data.subarray(index * shape[1], (index + 1) * shape[1]));
  const finite = (values) => values.map((value) => (Number.isFinite(value) ? value : null));
  const part = (place, count, between) => {
    const share = (1 - between * (count - 1)) / count;
    return [place * (share + between), Math.min(place * (share + between) + share, 1)];
  };
  const within = ({ tolerance }) => `right to ${Number((100 * tolerance).toPrecision(2))} %`;

  const draw = (view, graph, base, look, zoom, model) => {
    const { colours } = look;
    const count = model.names.length,
      across = Math.min(count, ACROSS),
      down = Math.ceil(count / across);
    const margin = { ...base.margin, t: 18 };
    const gap = {
      x: GAP.x / Math.max(graph.clientWidth - margin.l - margin.r, 2 * GAP.x),
      y: GAP.y / Math.max(graph.clientHeight - margin.t - margin.b, 2 * GAP.y * down),
    };
    const layout = { ...base, margin, template: look.template, shapes: [], annotations: [] };
    const traces = model.names.flatMap((direction, index) => {
      const tail = index ? String(index + 1) : "",
        [line, column] = [Math.floor(index / across), index % across];
      const name = heights.plain(direction),
        radius = model.radii.data[index];
      const x = part(column, across, gap.x),
        y = part(down - 1 - line, down, gap.y);
      const last = index + across >= count; // nothing below it
      layout[`xaxis${tail}`] = {
        ...base.xaxis,
        domain: x,
        anchor: `y${tail}`,
        nticks: 4,
        ...(zoom[`xaxis${tail}`] ? { range: zoom[`xaxis${tail}`] } : {}),
        title: last ? base.xaxis.title : { text: "" },
      };
      layout[`yaxis${tail}`] = {
        ...base.yaxis,
        domain: y,
        anchor: `x${tail}`,
        nticks: 4,
        ...(zoom[`yaxis${tail}`] ? { range: zoom[`yaxis${tail}`] } : {}),
        title: column ? { text: "" } : base.yaxis.title,
      };
      layout.annotations.push({
        text: name,
        x: x[0],
        y: y[1],
        xref: "paper",
        yref: "paper",
        xanchor: "left",
        yanchor: "bottom",
        yshift: 1,
        showarrow: false,
        font: { size: 11, color: colours.text },
      });
      if (Number.isFinite(radius))
        layout.shapes.push({
          type: "rect",
          xref: `x${tail}`,
          yref: `y${tail} domain`,
          x0: -radius,
          x1: radius,
          y0: 0,
          y1: 1,
          line: { width: 0 },
          fillcolor: colours.first + HELD,
          layer: "below",
        });
      const reach = Number.isFinite(radius)
        ? `${within(model)} up to ${format.number(radius, 2)}`
        : `${within(model)} all along`;
      const common = { type: "scatter", mode: "lines", x: row(model.distances, index), xaxis: `x${tail}`, yaxis: `y${tail}` };
      return [
        {
          ...common,
          name: `loss, ${name}`,
          y: finite(row(model.losses, index)),
          line: { width: 1.6, color: colours.first },
          hovertemplate: `%{x:.3g}<br>loss %{y:.4g}<br>${reach}<extra></extra>`,
        },
        {
          ...common,
          name: `quadratic model, ${name}`,
          y: finite(row(model.predictions, index)),
          line: { width: 1.6, color: colours.second, dash: "dash" },
          hovertemplate: "%{x:.3g}<br>quadratic model %{y:.4g}<extra></extra>",
        },
      ];
    });
    return landscope.graphs.draw(graph, traces, layout);
  };

  const readout = (model, { colours }) => {
    const shade = colours.first + HELD;
    return [
      { swatch: colours.first, label: "loss", value: "" },
      { swatch: colours.second, dash: "dash", label: "quadratic model", value: "" },
      { swatch: `linear-gradient(${shade}, ${shade})`, gradient: true, label: within(model), value: "" },
    ];
  };
  const details = () => [];
  return { draw, readout, details };
})();
