// Views of lines over the steps.
landscope.series = (() => {
  const { axes } = landscope;
  const ROW_GAP = 0.06;
  const DECADES = 10; // below the largest value; what is smaller is rounding
  const ERRORS = 2; // standard errors either way that a band shows
  const ROOM = 2; // a band widens its axis up to so many times the largest value, and is cut off beyond

  // An optimiser with a preconditioner meets other eigenvalues than the plain Hessian's: those are not beside them then.
  const comparable = ({ name }, measurement) =>
    !name.startsWith("density/") ||
    Boolean(measurement && measurement.kind === "sharpness" && !measurement.preconditioned);
  // Lines of a view as they are in the run: names with a star are spread over what matches, by number.
  const lines = (view, measurement) =>
    view.series
      .filter((line) => comparable(line, measurement))
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
  // The standard error of every value of a line, null where it was not measured with it.
  const errorsOf = (line) => {
    const { step, value } = landscope.run.data.scalars.get(line.name);
    const errors = landscope.run.data.scalars.get(line.error);
    if (!errors) return [];
    let at = 0;
    return value.map((one, index) => {
      while (at < errors.step.length && errors.step[at] < step[index]) at += 1;
      return one !== null && errors.step[at] === step[index] ? errors.value[at] : null;
    });
  };
  // The band about a line: a closed polygon for each stretch of values with an error.
  const bandOf = (line, { type, range }, logarithmic) => {
    const { step, value } = landscope.run.data.scalars.get(line.name),
      errors = errorsOf(line);
    const floor = type === "log" ? 10 ** range[0] : -Infinity;
    const outline = { x: [], y: [] };
    for (let from = 0; from < errors.length; from += 1) {
      let to = from;
      while (to < errors.length && errors[to] !== null) to += 1;
      if (to === from) continue;
      const edge = (side) =>
        axes.decimate(
          step.slice(from, to),
          value.slice(from, to).map((one, index) => Math.max(one + side * ERRORS * errors[from + index], floor)),
          logarithmic,
        );
      const [upper, lower] = [edge(1), edge(-1)];
      outline.x.push(...upper.x, ...lower.x.slice().reverse(), null);
      outline.y.push(...upper.y, ...lower.y.slice().reverse(), null);
      from = to;
    }
    return outline;
  };
  const extremes = (shown) => {
    let low = Infinity,
      high = -Infinity,
      lowPositive = Infinity;
    let reach = -Infinity;
    shown.forEach((line) => {
      const errors = line.error ? errorsOf(line) : [];
      landscope.run.data.scalars.get(line.name).value.forEach((value, index) => {
        if (value === null) return;
        if (value < low) low = value;
        if (value > high) high = value;
        if (value > 0 && value < lowPositive) lowPositive = value;
        reach = Math.max(reach, value + ERRORS * (errors[index] || 0));
      });
    });
    high = Math.max(high, Math.min(reach, ROOM * high));
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

  // A name that is far longer than its axis would run into the next one's: there the legend alone says it.
  const LETTER_PX = 5.8,
    MARGINS_PX = 40;
  const fitted = (title, [low, high], graph) => {
    const room = (graph.clientHeight - MARGINS_PX) * (high - low);
    return title.text.length * LETTER_PX <= 1.35 * room ? title : { text: "" };
  };

  // A value that stays until the next one, up to the last step.
  const held = ({ name }) => {
    const { step, value } = landscope.run.data.scalars.get(name),
      last = landscope.run.lastStep();
    if (!step.length || step[step.length - 1] >= last) return { step, value };
    return { step: [...step, last], value: [...value, value[value.length - 1]] };
  };

  const draw = (view, graph, base, look, zoom, measurement) => {
    const logarithmic = landscope.view.state.x === "log";
    const shown = lines(view, measurement).filter((line) => line.row > 0);
    const layout = { ...base, template: look.template };
    layout.xaxis = stepAxis(base.xaxis, zoom.xaxis);
    const domains = rowDomains(view.rows.map((_, index) => shown.some((line) => line.row === index + 1)));
    view.rows.forEach((kind, index) => {
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
      layout[name].title = fitted(layout[name].title, domains[index], graph);
      layout.xaxis.anchor = index ? `y${index + 1}` : "y";
      const { type, range } = scaleOf(kind, row, extremes(row));
      Object.assign(
        layout[name],
        { autorange: false, type, range: zoom[name] || range },
        type === "log"
          ? decades(range)
          : {
              nticks: view.rows.length > 1 ? 5 : 7,
              tickformat: Math.abs(range[1]) >= 1e4 ? "~s" : "",
            },
      );
    });
    // Faint lines first, so that they lie below the others.
    const bands = shown
      .filter(({ error }) => landscope.run.data.scalars.has(error))
      .map((line) => ({
        type: "scatter",
        name: `${line.label} ± ${ERRORS} standard errors`,
        ...bandOf(line, layout[line.row > 1 ? `yaxis${line.row}` : "yaxis"], logarithmic),
        yaxis: line.row > 1 ? `y${line.row}` : "y",
        mode: "lines",
        line: { width: 0 },
        fill: "toself",
        fillcolor: `${colour(line, look)}38`,
        hoverinfo: "skip",
      }));
    const lineTraces = [...shown]
      .sort((a, b) => b.faint - a.faint)
      .map((line) => {
        const { step, value } = line.hold ? held(line) : landscope.run.data.scalars.get(line.name);
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
    return landscope.graphs.draw(graph, [...bands, ...lineTraces], layout);
  };
  // The axis of the steps, the same in every view over them.
  const stepAxis = (base, zoomed) => {
    const logarithmic = landscope.view.state.x === "log";
    return {
      ...base,
      type: logarithmic ? "log" : "linear",
      range: zoomed || axes.steps(logarithmic),
      ...(logarithmic ? { dtick: 1 } : { nticks: 6 }),
      separatethousands: true,
      exponentformat: "none",
    };
  };
  const decades = ([low, high]) => {
    const ticks = landscope.axes.logTicks(10 ** low, 10 ** high, high - low < 2 ? 4 : 5);
    return { tickmode: "array", tickvals: ticks, ticktext: ticks.map(landscope.format.tick) };
  };

  // Legend and values in one line; the values follow the shown step.
  const readout = (view, look, measurement) => {
    const step = landscope.run.shownStep(),
      { number, share } = landscope.format;
    const withError = (text, line) => {
      const error = line.error && errorsOf(line)[landscope.lastAtOrBelow(stepsOf(line), step)];
      return Number.isFinite(error) ? `${text} ± ${number(error, 2)}` : text;
    };
    const items = [],
      ranks = [];
    lines(view, measurement).forEach((line) => {
      const entry = { swatch: line.row ? colour(line, look) : null, dash: line.dash, faint: line.faint, row: line.row };
      const value = landscope.run.valueAt(line.name, step);
      if (!line.starred) {
        const text = line.faint
          ? ""
          : value === undefined
            ? "–"
            : line.name.endsWith("accuracy") && value !== null
              ? share(value)
              : withError(number(value), line);
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
  const stepsOf = (line) => landscope.run.data.scalars.get(line.name).step;
  const empty = (view) => !lines(view).some((line) => stepsOf(line).length);
  const uses = (view, changed) =>
    view.series.some(({ name, error }) =>
      name.endsWith("*")
        ? [...changed].some((other) => other.startsWith(name.slice(0, -1)))
        : changed.has(name) || changed.has(error),
    );
  const names = (view, measurement) => lines(view, measurement).map(({ name }) => name);
  return { draw, readout, empty, uses, names, stepAxis };
})();
