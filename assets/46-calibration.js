// How often the network is right among the examples that it gives some probability, in as many bins as are chosen.
landscope.drawers.calibration = (() => {
  const { view, find, element, format } = landscope;
  const COUNTS = 0.24; // share of the height for the number of examples
  let select = null;

  const bins = () => Number(view.state.bins);
  const binned = ({ probabilities, right }) => {
    const found = Array.from({ length: bins() }, () => ({ count: 0, confidence: 0, right: 0 }));
    probabilities.data.forEach((probability, index) => {
      const bin = found[Math.min(Math.floor(probability * bins()), bins() - 1)];
      bin.count += 1;
      bin.confidence += probability;
      bin.right += Number(right.data[index]);
    });
    return found;
  };
  const filled = (calibration) =>
    binned(calibration)
      .filter(({ count }) => count)
      .map(({ count, confidence, right }) => {
        const share = right / count;
        return { count, confidence: confidence / count, share, error: Math.sqrt((share * (1 - share)) / count) };
      });
  const ece = (calibration) => {
    const total = calibration.right.data.length;
    return filled(calibration).reduce((sum, one) => sum + (one.count / total) * Math.abs(one.confidence - one.share), 0);
  };
  const draw = (shown, graph, base, look, zoom, calibration) => {
    const { colours } = look,
      points = filled(calibration);
    const layout = { ...base, template: look.template, bargap: 0.04 };
    const counts = binned(calibration).map(({ count }) => count);
    layout.xaxis = { ...base.xaxis, autorange: false, range: zoom.xaxis || [-0.02, 1.02], anchor: "y2", nticks: 6 };
    layout.yaxis = {
      ...base.yaxis,
      autorange: false,
      range: zoom.yaxis || [-0.02, 1.05],
      domain: [COUNTS + 0.06, 1],
      nticks: 5,
    };
    layout.yaxis2 = {
      ...base.yaxis,
      title: { text: "examples" },
      autorange: false,
      range: [0, 1.08 * Math.max(...counts)],
      domain: [0, COUNTS],
      nticks: 3,
    };
    const diagonal = { type: "scatter", mode: "lines", x: [0, 1], y: [0, 1], hoverinfo: "skip" };
    return landscope.graphs.draw(
      graph,
      [
        { ...diagonal, line: { width: 1, color: colours.muted, dash: "dash" } },
        {
          type: "scatter",
          mode: "lines+markers",
          x: points.map(({ confidence }) => confidence),
          y: points.map(({ share }) => share),
          line: { width: 1.5, color: colours.first },
          marker: { size: 6, color: colours.first },
          error_y: { type: "data", array: points.map(({ error }) => error), thickness: 1.2, width: 3, color: colours.first },
          customdata: points.map(({ count }) => count),
          hovertemplate: "confidence %{x:.3f}<br>right %{y:.3f}<br>%{customdata} examples<extra></extra>",
        },
        {
          type: "bar",
          x: counts.map((_, bin) => (bin + 0.5) / bins()),
          y: counts,
          yaxis: "y2",
          marker: { color: colours.axis },
          hovertemplate: "%{y} examples<extra></extra>",
        },
      ],
      layout,
    );
  };
  const readout = (calibration, { colours }) => [
    { swatch: colours.first, label: "ECE", value: format.number(ece(calibration)) },
    { swatch: colours.muted, dash: "dash", label: "calibrated", value: "" },
    { label: "Brier", value: format.number(calibration.brier) },
  ];
  const details = () => [`${bins()} bins`];
  const options = (calibration) => (bins() === calibration.bins ? {} : { bins: bins() });

  const show = () => {
    if (!select) return;
    select.parentElement.hidden = view.state.curves !== "calibration";
    select.value = view.state.bins;
  };
  const mount = () => {
    select = element(
      "select",
      { className: "select", "aria-label": "Bins" },
      view.choices.bins.map((count) => element("option", { value: count, text: `${count} bins` })),
    );
    select.addEventListener("change", () => view.set({ bins: select.value }));
    find("[data-bins]").append(select);
    show();
  };
  ["view", "route"].forEach((event) => landscope.on(event, show));
  return { mount, draw, readout, details, options, chosenBy: ["bins"] };
})();
