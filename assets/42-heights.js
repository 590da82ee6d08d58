// The numbers of a slice as they are drawn: heights, their scale, and the path of the training.
landscope.heights = (() => {
  // Heights to draw, once per measurement and scale.
  const heightsOf = (slice, logarithmic) => {
    const key = logarithmic ? "logarithms" : "losses";
    if (slice[key]) return slice[key];
    const [rows, columns] = slice.loss.shape;
    const z = [],
      missing = { x: [], y: [], cells: [] };
    let holes = 0;
    for (let j = 0; j < columns; j += 1) {
      const line = new Array(rows),
        cells = new Array(rows);
      for (let i = 0; i < rows; i += 1) {
        const loss = slice.loss.data[i * columns + j];
        const good = Number.isFinite(loss) && (!logarithmic || loss > 0);
        line[i] = good ? (logarithmic ? Math.log10(loss) : loss) : null;
        cells[i] = good ? null : 1;
        if (!good) {
          holes += 1;
          missing.x.push(slice.alpha.data[i]);
          missing.y.push(slice.beta.data[j]);
        }
      }
      z.push(line);
      missing.cells.push(cells);
    }
    slice[key] = { z, missing, holes };
    return slice[key];
  };
  const scale = (frameName) => {
    const span = landscope.run.spanOf(frameName) || { lo: 0, hi: 1 };
    const logarithmic = span.lo > 0;
    let [low, high] = logarithmic ? [Math.log10(span.lo), Math.log10(span.hi)] : [span.lo, span.hi];
    if (!(high - low > 1e-6 * Math.max(Math.abs(low), Math.abs(high)))) {
      low -= 0.5;
      high += 0.5;
    }
    const room = 0.02 * (high - low); // so that the lowest point is not on the edge
    low -= room;
    high += room;
    const ticks = logarithmic ? landscope.axes.logTicks(10 ** low, 10 ** high, 6) : null;
    const labels = ticks && {
      tickmode: "array",
      tickvals: ticks.map(Math.log10),
      ticktext: ticks.map(landscope.format.tick),
    };
    return { low, high, logarithmic, labels: labels || { tickmode: "auto", nticks: 6 } };
  };
  const nearestZero = (values) =>
    values.reduce((best, value, index) => (Math.abs(value) < Math.abs(values[best]) ? index : best), 0);

  const textOf = (value, slice, grid) =>
    value === null ? "not finite" : landscope.format.number(grid === slice.logarithms ? 10 ** value : value);

  const pathOf = (slice) => {
    if (!slice.path || slice.path.shape[0] < 1) return null;
    if (!slice.line) {
      const x = [],
        y = [];
      for (let index = 0; index < slice.path.shape[0]; index += 1) {
        x.push(slice.path.data[2 * index]);
        y.push(slice.path.data[2 * index + 1]);
      }
      slice.line = { x, y, steps: slice.path_steps ? Array.from(slice.path_steps.data) : [] };
    }
    return slice.line;
  };
  // Bilinear height of the drawn surface, so that the path lies on it; NaN off the plane leaves a gap.
  const heightAt = (z, alpha, beta, x, y) => {
    const i = Math.min(landscope.lastAtOrBelow(alpha, x), alpha.length - 2),
      j = Math.min(landscope.lastAtOrBelow(beta, y), beta.length - 2);
    if (i < 0 || j < 0 || x > alpha.at(-1) || y > beta.at(-1)) return NaN;
    const s = (x - alpha[i]) / (alpha[i + 1] - alpha[i]),
      t = (y - beta[j]) / (beta[j + 1] - beta[j]);
    const corners = [z[j][i], z[j][i + 1], z[j + 1][i], z[j + 1][i + 1]];
    if (corners.includes(null)) return NaN;
    return (1 - t) * ((1 - s) * corners[0] + s * corners[1]) + t * ((1 - s) * corners[2] + s * corners[3]);
  };

  return { heightsOf, scale, nearestZero, textOf, pathOf, heightAt };
})();
