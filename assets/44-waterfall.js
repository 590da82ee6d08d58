// The density of the Hessian's eigenvalues through training: a column for each measurement, its height as a shade. It
// has the eigenvalue axis of the density at one step, and the step axis of the lines.
landscope.drawers.waterfall = (() => {
  const { densities, history, format } = landscope;
  const NAME = "density";
  const ROWS = 140;
  const made = new WeakMap(); // measurement -> { key, z, texts }: its column on an axis

  const limits = { floor: 0, top: 0 }; // of the shades, as they were drawn last
  const place = (value, scale) => Math.asinh(value / scale);

  const columnOf = (density, { grid, scale, floor }) => {
    const key = [grid[0], grid.at(-1), scale, floor].join();
    const before = made.get(density);
    if (before?.key === key) return before;
    const [from, to] = [density.grid.data[0], density.grid.data.at(-1)];
    const values = densities.resampled(density, grid, scale)("density");
    const heights = values.map((value, row) => (grid[row] < from || grid[row] > to ? 0 : value));
    const column = {
      key,
      highest: Math.max(...heights),
      z: heights.map((height) => Math.log10(Math.max(height, floor))),
      texts: heights.map((height, row) => {
        const words = height > floor ? format.number(height, 2) : `under ${format.number(floor, 1)}`;
        return `λ ${format.number(grid[row])}<br>density ${words}`;
      }),
    };
    made.set(density, column);
    return column;
  };
  // Half way to the neighbours on either side; a logarithmic axis begins at step 1.
  const edges = (steps, logarithmic) => {
    const at = logarithmic ? steps.map((step) => Math.log(Math.max(step, 0.5))) : steps;
    const last = at.length - 1,
      room = last ? (at[last] - at[last - 1]) / 2 : logarithmic ? 1 : Math.max(landscope.run.lastStep() / 2, 0.5);
    const found = [at[0], ...at.slice(1).map((value, index) => (value + at[index]) / 2), at[last] + room];
    return logarithmic ? found.map(Math.exp) : found;
  };

  const draw = (view, graph, base, look, zoom, density) => {
    const { colours } = look;
    const logarithmic = landscope.view.state.x === "log";
    const axis = densities.axis(density.threshold),
      { scale, low, high } = axis;
    const u = densities.evenly(place(low, scale), place(high, scale), ROWS);
    const floor = densities.floorOf(density);
    const grid = u.map((value) => scale * Math.sinh(value));
    const columns = history.columns(NAME);
    const shades = columns.map(({ found }) => found && columnOf(found, { grid, scale, floor }));
    const top = densities.ceiling(Math.max(10 * floor, ...shades.filter(Boolean).map(({ highest }) => highest)));
    Object.assign(limits, { floor, top });
    const rows = (field) => u.map((_, row) => shades.map((column) => (column ? column[field][row] : null)));
    const { scalars } = landscope.run.data;
    const largest = scalars.get(`${NAME}/eigenvalue.1`) || { step: [], value: [] };
    const leading = landscope.axes.decimate(largest.step, largest.value, logarithmic);
    const limited = columns.filter(({ found }) => found?.threshold);
    const bounds = limited.map(({ step, found }) => ({ step, value: place(found.threshold, scale) }));
    if (bounds.length) bounds.push({ ...bounds.at(-1), step: landscope.axes.stepsEnd() });
    const line = { type: "scatter", mode: "lines", hoverinfo: "skip" };
    const traces = [
      {
        type: "heatmap",
        name: "density",
        x: edges(
          columns.map(({ step }) => step),
          logarithmic,
        ),
        y: u,
        z: rows("z"),
        text: rows("texts"),
        zmin: Math.log10(floor),
        zmax: Math.log10(top),
        colorscale: look.shades,
        showscale: false,
        hoverongaps: false,
        hovertemplate: "%{text}<extra></extra>",
      },
      {
        ...line,
        name: "λ max",
        x: leading.x,
        y: leading.y.map((value) => (value === null ? null : place(value, scale))),
        line: { width: 1.4, color: colours.second },
      },
      {
        ...line,
        name: "limit",
        x: bounds.map(({ step }) => step),
        y: bounds.map(({ value }) => value),
        line: { width: 1.2, color: colours.muted, dash: "dash", shape: "hv" },
      },
    ];
    const ticks = densities.eigenvalueTicks(axis, 0.07);
    const layout = { ...base, template: look.template };
    layout.xaxis = landscope.series.stepAxis(base.xaxis, zoom.xaxis);
    layout.yaxis = {
      ...base.yaxis,
      autorange: false,
      range: zoom.yaxis || landscope.axes.padded(place(low, scale), place(high, scale), false, 0.02),
      tickmode: "array",
      tickvals: ticks.map((tick) => place(tick, scale)),
      ticktext: ticks.map(format.tick),
    };
    return landscope.graphs.draw(graph, traces, layout);
  };

  const readout = (density, look) => {
    const { number, tick } = format;
    const items = [];
    if (density.spikes.data.length)
      items.push({ swatch: look.colours.second, label: "λ max", value: number(density.spikes.data[0]) });
    if (density.threshold)
      items.push({ swatch: look.colours.muted, dash: "dash", label: "limit", value: number(density.threshold) });
    if (limits.top)
      items.push({
        swatch: `linear-gradient(90deg, ${look.shades.map(([, colour]) => colour).join(", ")})`,
        gradient: true,
        label: "density",
        value: `${tick(limits.floor)} – ${tick(limits.top)}`,
      });
    return items;
  };
  const details = () => {
    const columns = history.columns(NAME),
      here = columns.filter(({ found }) => found).length;
    return [here < columns.length ? `${here} of ${columns.length} columns so far` : `${here} columns`];
  };
  const stepAt = ({ pointNumber }) => history.columns(NAME)[pointNumber[1]]?.step;
  return { draw, readout, details, stepAt };
})();
