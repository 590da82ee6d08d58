// The numbers of a slice as they are drawn: its quantities, their scale, and the relief between computed points.
landscope.heights = (() => {
  const { spline, splineError, format } = landscope;
  const FINE = 64; // intervals a side that are drawn, at least
  const KEPT = 6; // slices whose reliefs are kept

  // Texts of a run as plotly shows them: it would read some tags.
  const plain = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;");

  // What can be shown of a slice: the loss it is about, then whatever was measured with it.
  const quantities = (slice) => {
    const split = slice.provenance.split ? `${slice.provenance.split} ` : "";
    const found = [{ key: "loss", label: `${split}loss`, array: slice.loss }];
    Object.keys(slice)
      .filter((name) => name.startsWith("metrics."))
      .map((name) => ({ key: name.slice(8), label: name.slice(8).replaceAll("/", " "), array: slice[name] }))
      .forEach((metric) => found.push(metric));
    if (slice.accuracy) found.push({ key: "accuracy", label: `${split}accuracy`, array: slice.accuracy });
    return found.map((quantity) => ({ ...quantity, share: /accuracy$/.test(quantity.key) }));
  };
  const shownOf = (slice) => {
    const all = quantities(slice);
    return all.find(({ key }) => key === landscope.view.state.show) || all[0];
  };

  // One scale for a quantity over the whole run, on all planes that stand beside each other. Only that of the loss is known beforehand; others start from it and
  // widen with what has been seen, shares have their own.
  const seen = new Map();
  const limits = (frameNames, { key, array, share }) => {
    if (share) return { lo: 0, hi: 1 };
    const spans = frameNames.map(landscope.run.spanOf).filter(Boolean);
    const span = spans.length && {
      lo: Math.min(...spans.map(({ lo }) => lo)),
      hi: Math.max(...spans.map(({ hi }) => hi)),
    };
    if (key === "loss") return span || { lo: 0, hi: 1 };
    const name = JSON.stringify([landscope.run.data.id, frameNames, key]);
    const known = seen.get(name) || span || { lo: Infinity, hi: -Infinity };
    const finite = Array.from(array.data).filter(Number.isFinite);
    const widened = { lo: Math.min(known.lo, ...finite), hi: Math.max(known.hi, ...finite) };
    seen.set(name, widened);
    return widened.lo <= widened.hi ? widened : { lo: 0, hi: 1 };
  };
  const scale = (frameNames, quantity) => {
    const { lo, hi } = limits(frameNames, quantity);
    const logarithmic = !quantity.share && lo > 0;
    let [low, high] = logarithmic ? [Math.log10(lo), Math.log10(hi)] : [lo, hi];
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
      ticktext: ticks.map(format.tick),
    };
    return { low, high, logarithmic, labels: labels || { tickmode: "auto", nticks: 6 } };
  };

  // Every interval in as many equal parts, so that computed points are among the drawn ones.
  const refined = (knots) => {
    const parts = Math.max(1, Math.ceil(FINE / (knots.length - 1)));
    const fine = knots
      .slice(0, -1)
      .flatMap((knot, i) => Array.from({ length: parts }, (_, k) => knot + ((knots[i + 1] - knot) * k) / parts));
    return [...fine, knots.at(-1)];
  };
  const matrix = ({ data, shape: [rows, columns] }) =>
    Array.from({ length: rows }, (_, i) => Array.from(data.subarray(i * columns, (i + 1) * columns)));
  // Holes take their neighbours' mean, layer by layer from where there is one: for the spline alone, never to be seen.
  const filled = (values) => {
    const made = values.map((row) => [...row]);
    const neighbours = (i, j) =>
      [-1, 0, 1].flatMap((di) => [-1, 0, 1].map((dj) => made[i + di]?.[j + dj])).filter(Number.isFinite);
    for (;;) {
      const found = [];
      made.forEach((row, i) =>
        row.forEach((value, j) => {
          if (Number.isFinite(value)) return;
          const near = neighbours(i, j);
          if (near.length) found.push([i, j, near.reduce((sum, one) => sum + one, 0) / near.length]);
        }),
      );
      if (!found.length) return made;
      found.forEach(([i, j, value]) => {
        made[i][j] = value;
      });
    }
  };
  // The indices of the knots next to each point: one where it is a knot itself, none outside.
  const beside = (knots, points) =>
    points.map((x) => {
      if (!(x >= knots[0] && x <= knots.at(-1))) return [];
      const i = spline.interval(knots, x);
      return x === knots[i] ? [i] : x === knots[i + 1] ? [i + 1] : [i, i + 1];
    });

  // The stated error of the drawn relief: relative to values that are drawn as logarithms, to the range of what is
  // drawn as it is.
  const shareOf = (error, values, logarithmic) => {
    if (logarithmic) return Math.expm1(Math.LN10 * error);
    const known = values.flat().filter(Number.isFinite);
    const ends = known.reduce(([low, high], one) => [Math.min(low, one), Math.max(high, one)], [Infinity, -Infinity]);
    return error / (ends[1] - ends[0] || 1);
  };

  // What is drawn of a quantity, once per measurement and scale. Heights are logarithms to the base of ten, or the
  // numbers themselves; between computed points they are bicubic (bilinear for shares, which have steps and end at 1),
  // and missing wherever a point beside is not finite.
  const reliefs = new Map(); // slice -> what of it -> relief; those of the last few, as they are larger than the slices
  const reliefOf = (slice, quantity, logarithmic) => {
    const made = reliefs.get(slice) || new Map();
    reliefs.delete(slice);
    reliefs.set(slice, made);
    if (reliefs.size > KEPT) reliefs.delete(reliefs.keys().next().value);
    const name = `${logarithmic} ${quantity.key}`;
    if (!made.has(name)) made.set(name, makeRelief(slice, quantity, logarithmic));
    return made.get(name);
  };
  const makeRelief = (slice, { array, share }, logarithmic) => {
    const rule = share ? spline.linear : spline.cubic;
    const alpha = Array.from(slice.alpha.data),
      beta = Array.from(slice.beta.data);
    const height = (value) => (logarithmic ? (value > 0 ? Math.log10(value) : NaN) : value);
    const values = matrix(array).map((row) => row.map((value) => (Number.isFinite(value) ? height(value) : NaN)));
    const heights = filled(values);
    const missing = { x: [], y: [] };
    values.forEach((row, i) =>
      row.forEach((value, j) => {
        if (Number.isNaN(value)) {
          missing.x.push(alpha[i]);
          missing.y.push(beta[j]);
        }
      }),
    );
    const good = (near, far) =>
      near.length && far.length && near.every((i) => far.every((j) => !Number.isNaN(values[i][j])));
    // Heights (x, y) at all pairs of coordinates, or one by one along both lists.
    const onGrid = (xs, ys) => {
      const near = beside(alpha, xs),
        far = beside(beta, ys),
        found = spline.grid(alpha, beta, heights, xs, ys, rule);
      return near.map((i, row) => far.map((j, column) => (good(i, j) ? found[row][column] : null)));
    };
    const along = (xs, ys) => {
      const near = beside(alpha, xs),
        far = beside(beta, ys),
        across = rule(alpha, xs),
        up = rule(beta, ys);
      return xs.map((_, t) => {
        if (!good(near[t], far[t])) return null;
        const onRow = (row) => row.reduce((sum, value, j) => sum + up[t][j] * value, 0);
        return heights.reduce((sum, row, i) => sum + across[t][i] * onRow(row), 0);
      });
    };
    const x = refined(alpha),
      y = refined(beta),
      rows = onGrid(x, y);
    const z = y.map((_, j) => x.map((_, i) => rows[i][j])); // plotly's rows run along y
    return {
      x,
      y,
      z,
      missing,
      holes: missing.x.length,
      empty: missing.x.length === alpha.length * beta.length,
      error: share ? NaN : shareOf(splineError(alpha, beta, values, heights), values, logarithmic),
      along,
      knots: { x: new Set(alpha), y: new Set(beta) },
      value: (height) => (height === null ? NaN : logarithmic ? 10 ** height : height),
    };
  };

  // Bilinear values of a grid at pairs of coordinates: for errors, which a spline could make negative, and for lines
  // that lie on a drawn surface. `rows` are indexed [x][y]; null or NaN off the grid and beside what is not finite.
  const bilinear = (x, y, rows, px, py) => {
    const place = (knots, value) => {
      const i = spline.interval(knots, value);
      return [i, (value - knots[i]) / (knots[i + 1] - knots[i])];
    };
    if (!(px >= x[0] && px <= x.at(-1) && py >= y[0] && py <= y.at(-1))) return NaN;
    const [i, s] = place(x, px),
      [j, t] = place(y, py);
    const corner = (di, dj) => rows[i + di][j + dj] ?? NaN;
    const mix = (share, from, to) => (share === 0 ? from : share === 1 ? to : (1 - share) * from + share * to);
    return mix(t, mix(s, corner(0, 0), corner(1, 0)), mix(s, corner(0, 1), corner(1, 1)));
  };
  // Standard errors of the loss and of its difference from the centre, as functions of the coordinates; null where the
  // slice does not come with them, or shows something else.
  const errorsOf = (slice, quantity) => {
    if (quantity.key !== "loss") return { value: null, contrast: null };
    const alpha = Array.from(slice.alpha.data),
      beta = Array.from(slice.beta.data);
    const reader = (array) => {
      if (!array) return null;
      const rows = matrix(array);
      return (x, y) => bilinear(alpha, beta, rows, x, y);
    };
    return { value: reader(slice.error), contrast: reader(slice.contrast_error) };
  };

  // The height of the weights themselves, which need not be on the grid.
  const centreOf = (slice, quantity, relief, logarithmic) => {
    if (quantity.key !== "loss") return relief.along([0], [0])[0];
    const height = logarithmic ? Math.log10(slice.centre_loss) : slice.centre_loss;
    return Number.isFinite(height) ? height : null;
  };

  return { plain, quantities, shownOf, scale, reliefOf, bilinear, errorsOf, centreOf };
})();
