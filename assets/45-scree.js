// The kernel's eigenvalues over their rank: faint lines of all moments of the training, and the shown one.
landscope.drawers.scree = (() => {
  const { format, history, axes } = landscope;
  const NAME = "ntk";
  const RANKS = 48; // drawn of each spectrum, evenly on the logarithmic axis
  const DECADES = 10; // below the largest; what is smaller is rounding
  const made = new WeakMap(); // measurement -> its line

  const lineOf = (kernel) => {
    if (!made.has(kernel)) {
      const { data } = kernel.eigenvalues;
      const places = Array.from({ length: RANKS }, (_, i) => Math.round(data.length ** (i / (RANKS - 1))));
      const ranks = [...new Set(places)].filter((rank) => data[rank - 1] > 0);
      made.set(kernel, { x: ranks, y: ranks.map((rank) => data[rank - 1]) });
    }
    return made.get(kernel);
  };
  // Ranges that hold all that was drawn of a run, so that it does not breathe while frames arrive.
  let held = { run: null, low: Infinity, high: 0, ranks: 2 };
  const hold = (lines) => {
    if (held.run !== landscope.run.data.id) held = { run: landscope.run.data.id, low: Infinity, high: 0, ranks: 2 };
    lines.forEach(({ x, y }) => {
      held.high = Math.max(held.high, ...y);
      held.low = Math.min(held.low, ...y);
      held.ranks = Math.max(held.ranks, ...x);
    });
    return [Math.max(held.low, held.high / 10 ** DECADES), held.high];
  };

  const draw = (view, graph, base, look, zoom, kernel) => {
    const { colours, sequential } = look;
    const columns = history.columns(NAME).filter(({ found }) => found);
    const shown = lineOf(kernel);
    const [low, high] = hold([shown, ...columns.map(({ found }) => lineOf(found))]);
    const line = { type: "scatter", mode: "lines" };
    const traces = columns.map(({ step, found }, index) => ({
      ...line,
      ...lineOf(found),
      name: `step ${format.whole(step)}`,
      line: {
        width: 1,
        color: sequential[Math.round(((sequential.length - 1) * index) / Math.max(columns.length - 1, 1))],
      },
      opacity: 0.55,
      hovertemplate: `rank %{x}<br>%{y:.3g}<extra>step ${format.whole(step)}</extra>`,
    }));
    traces.push({
      ...line,
      ...shown,
      name: "shown",
      line: { width: 2.2, color: colours.accent },
      hovertemplate: "rank %{x}<br>%{y:.4g}<extra>shown step</extra>",
    });
    const layout = { ...base, template: look.template };
    const logarithmic = (range, from, to) => {
      const ticks = axes.logTicks(from, to, 5);
      const names = { tickmode: "array", tickvals: ticks, ticktext: ticks.map(format.tick) };
      return { type: "log", autorange: false, range, ...names };
    };
    layout.xaxis = {
      ...base.xaxis,
      ...logarithmic(zoom.xaxis || axes.padded(1, held.ranks, true, 0.02), 1, held.ranks),
    };
    layout.yaxis = high > 0 ? { ...base.yaxis, ...logarithmic(zoom.yaxis || axes.padded(low, high, true), low, high) } : base.yaxis;
    return landscope.graphs.draw(graph, traces, layout);
  };
  const readout = (kernel, look) => {
    const { data } = kernel.eigenvalues,
      last = look.sequential.length - 1;
    return [
      { swatch: look.colours.accent, label: "λ₁ here", value: format.number(data[0]) },
      { label: "eff. rank", value: format.number(kernel.effective_rank) },
      {
        swatch: `linear-gradient(90deg, ${look.sequential[0]}, ${look.sequential[last >> 1]}, ${look.sequential[last]})`,
        gradient: true,
        label: "first to last step",
        value: "",
      },
    ];
  };
  const details = (kernel) => [`${kernel.gram_kind} kernel`];
  return { draw, readout, details };
})();
