// Panels of lines over the steps.
landscope.series = (() => {
  const { axes } = landscope;
  const ROW_GAP = 0.06;
  const DECADES = 10; // below the largest value; what is smaller is rounding

  // An optimiser with a preconditioner meets other eigenvalues than the plain Hessian's: those are not beside them then.
  const comparable = ({ name }, panel, measurement) =>
    panel.name !== "sharpness" ||
    !name.startsWith("density/") ||
    Boolean(measurement && measurement.kind === "sharpness" && !measurement.preconditioned);
  // Lines of a panel as they are in the run: names with a star are spread over what matches, by number.
  const lines = (panel, measurement) =>
    panel.series
      .filter((line) => comparable(line, panel, measurement))
      .flatMap((line) => {
        if (!line.name.endsWith("*"))
          return landscope.run.data.scalars.has(line.name) ? [{ ...line, rank: 1, ranks: 1 }] : [];
        const stem = line.name.slice(0, -1);
        const found = [...landscope.run.data.scalars.keys()].filter((name) => name.startsWith(stem));
        found.sort((a, b) => Number(a.slice(stem.length)) - Number(b.slice(stem.length)));
        return found.map((name, index) => ({
          ...line,
          name,
          rank: Number(name.slice(stem.length)),
          index,
          ranks: found.length,
          starred: true,
        }));
      });
  const colour = (line, look) => {
    if (line.colour !== "sequential") return look.colours[line.colour];
    const last = look.sequential.length - 1;
    return look.sequential[line.ranks > 1 ? Math.round((line.index * last) / (line.ranks - 1)) : 0];
  };
  const extremes = (shown) => {
    let low = Infinity,
      high = -Infinity,
      lowPositive = Infinity;
    shown.forEach((line) =>
      landscope.run.data.scalars.get(line.name).value.forEach((value) => {
        if (value === null) return;
        if (value < low) low = value;
        if (value > high) high = value;
        if (value > 0 && value < lowPositive) lowPositive = value;
      }),
    );
    return { low, high, lowPositive };
  };
  const median = (values) => {
    const sorted = values.filter((value) => value !== null).sort((a, b) => a - b);
    return sorted.length ? sorted[sorted.length >> 1] : 0;
  };
  const scaleOf = (kind, shown, { low, high, lowPositive }) => {
    if (low > high) return { type: "linear", range: [0, 1] }; // not one finite value
    if (kind === "linear") return { type: "linear", range: axes.padded(low, high, false) };
    const wide = () => {
      const leading = shown.filter((line) => !line.faint);
      const usual = Math.max(...leading.map((line) => median(landscope.run.data.scalars.get(line.name).value)));
      return usual > 0 && high > 6 * usual;
    };
    if (high <= 0 || low < -1e-3 * high || (kind === "auto" && !wide())) {
      return { type: "linear", range: axes.padded(kind === "auto" ? Math.min(low, 0) : low, high, false) };
    }
    return { type: "log", range: axes.padded(Math.max(lowPositive, high / 10 ** DECADES), high, true) };
  };

  // Rows without a line leave their room to the others: not every loss comes with an accuracy.
  const rowDomains = (used) => {
    const count = used.filter(Boolean).length,
      share = (1 - ROW_GAP * (count - 1)) / count;
    let top = 1;
    return used.map((isUsed) => {
      if (!isUsed) return null;
      const domain = [Math.max(top - share, 0), top];
      top -= share + ROW_GAP;
      return domain;
    });
  };

  const draw = (panel, graph, base, look, zoom, measurement) => {
    const logarithmic = landscope.view.state.x === "log";
    const shown = lines(panel, measurement).filter((line) => line.row > 0);
    const layout = { ...base, template: look.template, uirevision: "kept" };
    layout.xaxis = {
      ...base.xaxis,
      type: logarithmic ? "log" : "linear",
      range: zoom.xaxis || axes.steps(logarithmic),
      ...stepTicks(logarithmic),
    };
    const domains = rowDomains(panel.rows.map((_, index) => shown.some((line) => line.row === index + 1)));
    panel.rows.forEach((kind, index) => {
      const name = index ? `yaxis${index + 1}` : "yaxis";
      const row = shown.filter((line) => line.row === index + 1);
      layout[name] = { ...base[name] };
      if (measurement && measurement.preconditioned)
        layout[name].title = { text: "eigenvalue of P⁻¹H (1 / learning rate)" };
      if (!row.length) {
        delete layout[name];
        return;
      }
      layout[name].domain = domains[index];
      layout.xaxis.anchor = index ? `y${index + 1}` : "y";
      const { type, range } = scaleOf(kind, row, extremes(row));
      Object.assign(
        layout[name],
        { autorange: false, type, range: zoom[name] || range },
        type === "log"
          ? decades(range)
          : {
              nticks: panel.rows.length > 1 ? 5 : 7,
              tickformat: Math.abs(range[1]) >= 1e4 ? "~s" : "",
            },
      );
    });
    // Faint lines first, so that they lie below the others.
    const traces = [...shown]
      .sort((a, b) => b.faint - a.faint)
      .map((line) => {
        const { step, value } = landscope.run.data.scalars.get(line.name);
        const tint = colour(line, look);
        return {
          type: "scatter",
          name: line.starred ? `${line.label.split(",")[0]} ${line.rank}` : line.label,
          ...axes.decimate(step, value, logarithmic),
          yaxis: line.row > 1 ? `y${line.row}` : "y",
          mode: line.markers || value.length === 1 ? "lines+markers" : "lines",
          marker: { size: value.length === 1 ? 5 : 3 },
          line: {
            color: tint,
            width: line.faint ? 1 : 1.6,
            dash: line.dash,
            shape: line.hold ? "hv" : "linear",
            simplify: true,
          },
          opacity: line.faint ? 0.4 : 1,
          hovertemplate: `%{y:.4g}<extra>${line.starred ? `rank ${line.rank}` : line.label}</extra>`,
        };
      });
    return Plotly.react(graph, traces, layout);
  };
  const stepTicks = (logarithmic) =>
    logarithmic
      ? { dtick: 1, exponentformat: "none", separatethousands: true }
      : { nticks: 6, separatethousands: true, exponentformat: "none" };
  const decades = ([low, high]) => {
    const ticks = landscope.axes.logTicks(10 ** low, 10 ** high, high - low < 2 ? 4 : 5);
    return { tickmode: "array", tickvals: ticks, ticktext: ticks.map(landscope.format.tick) };
  };

  // Legend and values in one line; the values follow the shown step.
  const readout = (panel, look, measurement) => {
    const step = landscope.run.shownStep(),
      { number, share } = landscope.format;
    const items = [],
      ranks = [];
    lines(panel, measurement).forEach((line) => {
      const entry = { swatch: line.row ? colour(line, look) : null, dash: line.dash, faint: line.faint, row: line.row };
      const value = landscope.run.valueAt(line.name, step);
      if (!line.starred) {
        const text = line.faint
          ? ""
          : value === undefined
            ? "–"
            : line.name.endsWith("accuracy") && value !== null
              ? share(value)
              : number(value);
        const before = items.find(({ label }) => label === line.label);
        if (before) before.value += ` · ${text}`;
        else items.push({ ...entry, label: line.label, value: text });
      } else if (line.colour === "sequential") ranks.push({ ...entry, label: String(line.rank), value: "" });
      else if (line.index === 1)
        items.push({ ...entry, label: line.label, value: value === undefined ? "–" : number(value) });
    });
    if (ranks.length > 1) {
      const last = ranks[ranks.length - 1];
      const middle = ranks[ranks.length >> 1].swatch;
      return [
        {
          ...ranks[0],
          swatch: `linear-gradient(${ranks[0].swatch}, ${middle}, ${last.swatch})`,
          gradient: true,
          label: `ranks ${ranks[0].label}–${last.label}`,
        },
        ...items,
      ];
    }
    return [...ranks, ...items];
  };
  const empty = (panel) => !lines(panel).some((line) => landscope.run.data.scalars.get(line.name).step.length);
  const uses = (panel, changed) =>
    panel.series.some(({ name }) =>
      name.endsWith("*") ? [...changed].some((other) => other.startsWith(name.slice(0, -1))) : changed.has(name),
    );
  return { draw, readout, empty, uses };
})();
