// The loss so far, what a power law fitted at the shown step says of the steps ahead, and what came of it.
landscope.drawers.forecast = (() => {
  const { run, format, axes } = landscope;

  const trace = { type: "scatter", mode: "lines" };
  // A band from `low` to `high`, cut off where a logarithmic axis would lose it.
  const bandOf = ({ steps, low, high }, floor, colour) => ({
    ...trace,
    x: [...steps, ...[...steps].reverse()],
    y: [...high, ...[...low].reverse()].map((value) => Math.max(value, floor)),
    fill: "toself",
    fillcolor: `${colour}33`,
    line: { width: 0 },
    hoverinfo: "skip",
    name: "band",
  });
  const lineOf = ({ steps, expected }, name, colour, dash) => ({
    ...trace,
    x: steps,
    y: expected,
    name,
    line: { width: 1.6, color: colour, dash },
    hovertemplate: `step %{x:,}<br>loss %{y:.4g}<extra>${name}</extra>`,
  });

  const draw = (view, graph, base, look, zoom, made) => {
    const { colours } = look;
    const logarithmic = landscope.view.state.x === "log";
    const [ahead, expected, low, high] = ["steps", "expected", "low", "high"].map((name) => Array.from(made[name].data));
    const end = ahead[ahead.length - 1];
    const line = run.data.scalars.get("train/loss") || { step: [], value: [] };
    const seen = axes.decimate(line.step, line.value, logarithmic);
    const inside = (_, index) => seen.x[index] <= end;
    const measured = { x: seen.x.filter(inside), y: seen.y.filter(inside) };
    const other = landscope.whatIf.answer(made);
    const positive = [...measured.y, ...expected, ...low, ...(other ? other.expected : [])].filter((value) => value > 0);
    const [least, most] = positive.length ? [Math.min(...positive), Math.max(...positive)] : [0.1, 1];
    const layout = { ...base, template: look.template, shapes: [] };
    layout.xaxis = {
      ...base.xaxis,
      type: logarithmic ? "log" : "linear",
      autorange: false,
      range: zoom.xaxis || (logarithmic ? [0, Math.log10(end)] : [0, end]),
      nticks: 6,
    };
    const ticks = axes.logTicks(least, Math.max(most, 1.1 * least), 5);
    layout.yaxis = {
      ...base.yaxis,
      type: "log",
      autorange: false,
      range: zoom.yaxis || axes.padded(least, most, true),
      tickmode: "array",
      tickvals: ticks,
      ticktext: ticks.map(format.tick),
    };
    const made_at = made.made_at;
    layout.shapes.push({
      type: "line",
      x0: made_at,
      x1: made_at,
      yref: "paper",
      y0: 0,
      y1: 1,
      line: { width: 1, color: colours.accent, dash: "dot" },
    });
    const floor = least / 10;
    const usual = { steps: ahead, expected, low, high };
    const imagined = other
      ? [bandOf(other, floor, colours.third), lineOf(other, "what if", colours.third, "dot")]
      : [];
    return landscope.graphs.draw(
      graph,
      [
        bandOf(usual, floor, colours.second),
        {
          ...trace,
          ...measured,
          name: "measured",
          line: { width: 1.4, color: colours.first },
          hovertemplate: "step %{x:,}<br>loss %{y:.4g}<extra>measured</extra>",
        },
        lineOf(usual, "power law", colours.second, "dash"),
        ...imagined,
      ],
      layout,
    );
  };
  const readout = (made, { colours }) => {
    const last = made.steps.data.length - 1,
      half = (made.high.data[last] - made.low.data[last]) / 2;
    return [
      { swatch: colours.first, label: "measured", value: "" },
      {
        swatch: colours.second,
        dash: "dash",
        label: `at step ${format.whole(made.steps.data[last])}`,
        value: `${format.number(made.expected.data[last])} ± ${format.number(half, 2)}`,
      },
    ];
  };
  const details = (made) => [`made at step ${format.whole(made.made_at)}`];
  return { draw, readout, details, chosenBy: ["whatif"] };
})();
