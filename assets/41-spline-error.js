// How far a relief drawn between computed points may be from the truth, told by those points themselves. The estimate
// of landscope.measurements.interpolation, averaged over the whole grid: e = 2 sqrt((e1 / r)^2 + (0.7 d)^2).
landscope.splineError = (() => {
  const { spline } = landscope;
  const GAINS = [2, 16],
    KINKS = 0.7,
    CERTAINTY = 2,
    FEWEST = 5;

  const range = (count) => Array.from({ length: count }, (_, index) => index);
  const meanSquare = (missed) => missed.reduce((sum, one) => sum + one * one, 0) / missed.length;
  const pick = (list, kept) => kept.map((index) => list[index]);
  const halved = (knots) => range(knots.length).filter((index) => index % 2 === 0 || index === knots.length - 1);

  // What the spline through every other point misses at the others. Heights that are not finite are NaN in `values`,
  // and have a stand-in in `filled`; what lies beside one of them says nothing.
  const leftOut = (x, y, values, filled) => {
    const keptX = halved(x),
      keptY = halved(y);
    const guess = spline.grid(pick(x, keptX), pick(y, keptY), pick(filled, keptX).map((row) => pick(row, keptY)), x, y);
    const around = (count, index) => [index - 1, index, index + 1].filter((one) => one >= 0 && one < count);
    const sound = (i, j) =>
      around(x.length, i).every((a) => around(y.length, j).every((b) => !Number.isNaN(values[a][b])));
    return values.flatMap((row, i) =>
      row.flatMap((value, j) => {
        const kept = keptX.includes(i) && keptY.includes(j);
        return kept || !sound(i, j) ? [] : [guess[i][j] - value];
      }),
    );
  };
  // How far the polynomial through its neighbours misses each point of a line: kinks, which no refinement smooths.
  const roughness = (knots, line) => {
    const reach = knots.length >= 7 ? 3 : 2;
    return range(knots.length)
      .filter((i) => i >= reach && i < knots.length - reach)
      .flatMap((i) => {
        const near = range(2 * reach + 1)
          .map((k) => i - reach + k)
          .filter((k) => k !== i);
        const weights = spline.lagrange(pick(knots, near), knots[i]);
        const missed = near.reduce((sum, k, at) => sum + weights[at] * line[k], -line[i]);
        return Number.isNaN(missed) ? [] : [missed];
      });
  };

  // In units of the heights, which about 95 of 100 drawn points keep; NaN where there are too few points to tell.
  return (x, y, values, filled) => {
    if (x.length < 3 || y.length < 3) return NaN;
    const missed = leftOut(x, y, values, filled);
    if (!missed.length) return NaN;
    const square = meanSquare(missed);
    const keptX = halved(x),
      keptY = halved(y);
    let gain = GAINS[0];
    if (Math.min(keptX.length, keptY.length) >= FEWEST) {
      const half = (rows) => pick(rows, keptX).map((row) => pick(row, keptY));
      const coarser = leftOut(pick(x, keptX), pick(y, keptY), half(values), half(filled));
      const ratio = coarser.length && square > 0 ? Math.sqrt(meanSquare(coarser) / square) : 0;
      gain = Math.min(Math.max(ratio, GAINS[0]), GAINS[1]);
    }
    const columns = y.map((_, j) => values.map((row) => row[j]));
    const kinks = [...values.flatMap((row) => roughness(y, row)), ...columns.flatMap((column) => roughness(x, column))];
    return CERTAINTY * Math.sqrt(square / gain ** 2 + (kinks.length ? KINKS ** 2 * meanSquare(kinks) : 0));
  };
})();
