// How many examples have which margin and which EL2N, right and wrong ones apart, beside the margins of the first frame.
landscope.drawers.margins = (() => {
  const { format } = landscope;
  const BINS = 40;
  const MOST = Math.SQRT2; // of EL2N

  const column = ({ data, shape }, place) =>
    Array.from({ length: shape[0] }, (_, row) => data[row * shape[1] + place]);
  const newest = (history) => column(history.margins, history.margins.shape[1] - 1);
  // Over all frames, so that the axis moves only when a margin leaves it.
  const reach = ({ margins: { data } }) => {
    const finite = data.filter(Number.isFinite);
    const [low, high] = [Math.min(...finite, 0), Math.max(...finite, 0)];
    return high > low ? [low, high] : [-1, 1];
  };
  const counted = (values, [low, high], keep = () => true) => {
    const counts = new Array(BINS).fill(0);
    values.forEach((value, index) => {
      if (!Number.isFinite(value) || !keep(index)) return;
      counts[Math.min(Math.max(Math.floor((BINS * (value - low)) / (high - low)), 0), BINS - 1)] += 1;
    });
    return counts;
  };
  const middles = ([low, high]) => Array.from({ length: BINS }, (_, bin) => low + ((high - low) * (bin + 0.5)) / BINS);

  const draw = (view, graph, base, look, zoom, history) => {
    const { colours } = look,
      margins = newest(history),
      span = reach(history);
    const sides = [
      { name: "right", keep: (index) => margins[index] > 0, marker: { color: colours.first } },
      { name: "wrong", keep: (index) => !(margins[index] > 0), marker: { color: colours.second, pattern: { shape: "/" } } },
    ];
    const bars = (values, range, axes) =>
      sides.map(({ name, keep, marker }) => ({
        ...{ type: "bar", ...axes, name, marker, x: middles(range), y: counted(values, range, keep) },
        width: (range[1] - range[0]) / BINS,
        hovertemplate: "about %{x:.3g}<br>%{y} examples<extra>%{fullData.name}</extra>",
      }));
    const first = counted(column(history.margins, 0), span);
    const traces = bars(margins, span, {});
    traces.push({
      type: "scatter",
      mode: "lines",
      x: middles(span),
      y: first,
      line: { shape: "hvh", width: 1.2, color: colours.muted, dash: "dot" },
      hoverinfo: "skip",
    });
    const layout = { ...base, template: look.template, barmode: "stack", bargap: 0 };
    const most = Math.max(...first, ...counted(margins, span));
    layout.xaxis = { ...base.xaxis, autorange: false, range: zoom.xaxis || span, nticks: 6 };
    layout.yaxis = { ...base.yaxis, autorange: false, range: zoom.yaxis || [0, 1.06 * most], nticks: 4 };
    if (history.el2n) {
      const scores = Array.from(history.el2n.data),
        range = [0, MOST];
      traces.push(...bars(scores, range, { xaxis: "x2", yaxis: "y2" }));
      layout.yaxis.domain = [0.62, 1];
      layout.xaxis2 = { ...base.xaxis, title: { text: "EL2N ‖p − y‖ (probability)" }, range, nticks: 6, anchor: "y2" };
      layout.yaxis2 = {
        ...base.yaxis,
        range: [0, 1.06 * Math.max(...counted(scores, range))],
        domain: [0, 0.38],
        nticks: 4,
        anchor: "x2",
      };
    }
    return landscope.graphs.draw(graph, traces, layout);
  };
  const median = (values) => [...values].filter(Number.isFinite).sort((a, b) => a - b)[Math.floor(values.length / 2)];
  const readout = (history, { colours }) => {
    const margins = newest(history),
      right = margins.filter((margin) => margin > 0).length / margins.length;
    const found = [
      { swatch: colours.first, label: "right", value: format.share(right) },
      { swatch: colours.second, label: "wrong ╱", value: format.share(1 - right) },
      { swatch: colours.muted, dash: "dot", label: `at step ${format.whole(history.steps.data[0])}`, value: "" },
      { label: "median margin", value: format.number(median(margins), 2) },
    ];
    if (history.el2n) found.push({ label: "median EL2N", value: format.number(median(history.el2n.data), 2) });
    return found;
  };
  const details = (history) => [`${format.whole(history.labels.data.length)} examples`];
  const options = () => ({ style: "scores" });
  return { draw, readout, details, options };
})();
