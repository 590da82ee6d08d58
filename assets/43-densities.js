// Spectral densities of a run side by side. Every frame has its own signed-log scale; all are drawn on one, so that the
// axis holds still: with u = asinh(λ/s) the density per unit of u₀ = asinh(λ/s₀) is the measured one times du/du₀.
landscope.densities = (() => {
  const DECADES = 2.5; // shown below the outermost eigenvalue of every frame
  const MOST_DECADES = 12;

  const axis = (threshold) => {
    const span = landscope.run.spanOf("density") || { lo: -1, hi: 1 };
    const largest = Math.max(Math.abs(span.lo), Math.abs(span.hi), 1e-30);
    const { lo, hi } = landscope.run.data.frames.get("density");
    // Curvature may fall by orders of magnitude over a run: the axis must still resolve its smallest frame.
    const smallest = hi.reduce(
      (least, high, index) => Math.min(least, Math.max(Math.abs(lo[index]), Math.abs(high)) || least),
      largest,
    );
    const scale = 10 ** Math.floor(Math.log10(Math.max(smallest / 10 ** DECADES, largest / 10 ** MOST_DECADES)));
    const high = threshold && threshold > span.hi && threshold < 30 * span.hi ? 1.3 * threshold : span.hi;
    return { scale, low: span.lo, high };
  };
  // A round height above all that was shown of this run, so that it hardly ever moves.
  let highest = { run: null, top: 10 };
  const ceiling = (height) => {
    if (highest.run !== landscope.run.data.id) highest = { run: landscope.run.data.id, top: 10 };
    highest.top = Math.max(highest.top, 10 ** Math.ceil(Math.log10(height)));
    return highest.top;
  };
  const evenly = (from, to, count) => Array.from({ length: count }, (_, i) => from + ((to - from) * i) / (count - 1));
  // Below a tenth of one direction among all nothing is told apart.
  const floorOf = ({ provenance }) => 10 ** (Math.floor(-Math.log10(Math.max(provenance.parameters, 100))) - 1);
  // Curves of a frame at eigenvalues `grid`, per unit of asinh(λ/scale). Its own grid is even in its own u, where the
  // curves are smooth: between its points they are read off there.
  const resampled = (density, grid, scale) => {
    const own = Array.from(density.grid.data, (value) => Math.asinh(value / density.scale));
    const step = (own.at(-1) - own[0]) / (own.length - 1);
    const at = grid.map((value) => {
      const position = (Math.asinh(value / density.scale) - own[0]) / step;
      return Math.min(Math.max(position, 0), own.length - 1);
    });
    return (field) => {
      const { data } = density[field];
      return at.map((position, index) => {
        const left = Math.min(Math.floor(position), data.length - 2);
        const stretch = Math.hypot(grid[index], scale) / Math.hypot(grid[index], density.scale);
        return stretch * (data[left] + (position - left) * (data[left + 1] - data[left]));
      });
    };
  };
  // Round eigenvalues whose labels keep a distance, as a share of the axis.
  const eigenvalueTicks = ({ scale, low, high }, gap) => {
    const place = (value) => Math.asinh(value / scale);
    return landscope.axes.apart(
      landscope.axes.signedTicks(low, high, scale, 12),
      place,
      gap * (place(high) - place(low)),
    );
  };
  return { axis, ceiling, evenly, resampled, floorOf, eigenvalueTicks };
})();
