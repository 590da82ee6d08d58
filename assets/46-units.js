// Shares of the units of every layer that answer every input alike: dead, dormant, saturated.
landscope.drawers.units = (() => {
  const { format } = landscope;
  const MOST = 12; // layers with bars: of more those with the largest shares
  const KINDS = ["dead", "dormant", "saturated"];
  const SHAPES = ["", "/", "x"];

  const share = (activity, kind, index) => activity[kind].data[index]; // NaN for functions that have no two ends
  const worst = (activity, index) => Math.max(...KINDS.map((kind) => share(activity, kind, index) || 0));

  const draw = (view, graph, base, look, zoom, activity) => {
    const hues = [look.colours.first, look.colours.second, look.colours.third];
    const all = activity.layers.map((_, index) => index);
    const kept = [...all].sort((a, b) => worst(activity, b) - worst(activity, a)).slice(0, MOST);
    const shown = all.filter((index) => kept.includes(index));
    const names = shown.map((index) => format.ending(activity.layers[index]));
    const most = Math.max(...shown.map((index) => worst(activity, index)));
    const layout = { ...base, template: look.template, barmode: "group", bargap: 0.25, annotations: [] };
    if (!most)
      layout.annotations.push({ text: "every unit answers its inputs", showarrow: false, font: { color: look.colours.muted } });
    layout.margin = { ...base.margin, l: 24 + 6.5 * Math.max(...names.map(({ length }) => length), 4) };
    layout.xaxis = { ...base.xaxis, autorange: false, range: zoom.xaxis || [0, Math.min(1.08 * (most || 0.1), 1.02)], nticks: 5 };
    layout.yaxis = {
      ...base.yaxis,
      title: { text: "" },
      autorange: false,
      range: zoom.yaxis || [shown.length - 0.5, -0.5],
      tickmode: "array",
      tickvals: shown.map((_, place) => place),
      ticktext: names,
      showgrid: false,
    };
    const traces = KINDS.map((kind, place) => ({
      type: "bar",
      orientation: "h",
      name: kind,
      x: shown.map((index) => share(activity, kind, index)),
      y: shown.map((_, row) => row),
      marker: { color: hues[place], pattern: { shape: SHAPES[place] } },
      customdata: shown.map((index) => `${activity.layers[index]}, ${activity.functions[index]}`),
      hovertemplate: "%{customdata}<br>%{x:.1%} of its units<extra>%{fullData.name}</extra>",
    }));
    return landscope.graphs.draw(graph, traces, layout);
  };
  // Of the units of all layers where it is known.
  const total = (activity, kind) => {
    let count = 0,
      units = 0;
    activity.units.data.forEach((number, index) => {
      const part = share(activity, kind, index);
      if (!Number.isFinite(part)) return;
      count += part * Number(number);
      units += Number(number);
    });
    return units ? count / units : NaN;
  };
  const MARKS = ["", " ╱", " ✕"]; // as the bars are filled
  const readout = (activity, { colours }) =>
    KINDS.map((kind, place) => ({
      swatch: [colours.first, colours.second, colours.third][place],
      label: `${kind}${MARKS[place]}`,
      value: Number.isFinite(total(activity, kind)) ? format.share(total(activity, kind)) : "–",
    }));
  const number = (text) => ({ text, className: "number" });
  const table = (activity) => ({
    columns: ["layer", "function", ...["units", ...KINDS].map((text) => ({ text, className: "number" }))],
    rows: activity.layers.map((layer, index) => [
      { text: format.ending(layer), title: layer },
      activity.functions[index],
      number(format.whole(Number(activity.units.data[index]))),
      ...KINDS.map((kind) => number(Number.isFinite(share(activity, kind, index)) ? format.share(share(activity, kind, index)) : "–")),
    ]),
  });
  const details = ({ layers, tolerance }) => [`${layers.length} activation functions`, `dormant below ${tolerance}`];
  return { draw, readout, details, table };
})();
