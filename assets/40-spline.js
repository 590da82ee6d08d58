// Cubic splines, not-a-knot: the third derivative is continuous at the second knot and the last but one. Three knots
// make a parabola, two a line. An interpolant is linear in its values, so it is a matrix, which serves every row alike.
landscope.spline = (() => {
  // Solves A X = B for dense A (n, n) and B (n, columns), both lists of rows, by elimination with partial pivoting.
  const solve = (A, B) => {
    const n = A.length;
    for (let k = 0; k < n; k += 1) {
      let pivot = k;
      for (let i = k + 1; i < n; i += 1) if (Math.abs(A[i][k]) > Math.abs(A[pivot][k])) pivot = i;
      [A[k], A[pivot]] = [A[pivot], A[k]];
      [B[k], B[pivot]] = [B[pivot], B[k]];
      for (let i = k + 1; i < n; i += 1) {
        const factor = A[i][k] / A[k][k];
        if (factor === 0) continue;
        for (let j = k; j < n; j += 1) A[i][j] -= factor * A[k][j];
        for (let j = 0; j < B[i].length; j += 1) B[i][j] -= factor * B[k][j];
      }
    }
    for (let i = n - 1; i >= 0; i -= 1)
      for (let j = 0; j < B[i].length; j += 1) {
        for (let k = i + 1; k < n; k += 1) B[i][j] -= A[i][k] * B[k][j];
        B[i][j] /= A[i][i];
      }
    return B;
  };
  const zeros = (rows, columns) => Array.from({ length: rows }, () => new Float64Array(columns));

  // Second derivatives at the knots as a matrix (n, n) that acts on the values there; n is at least 4.
  const curvatures = (knots) => {
    const n = knots.length,
      h = Array.from({ length: n - 1 }, (_, i) => knots[i + 1] - knots[i]);
    const A = zeros(n, n),
      B = zeros(n, n);
    A[0].set([h[1], -(h[0] + h[1]), h[0]]);
    A[n - 1].set([h[n - 2], -(h[n - 3] + h[n - 2]), h[n - 3]], n - 3);
    for (let i = 1; i < n - 1; i += 1) {
      A[i].set([h[i - 1], 2 * (h[i - 1] + h[i]), h[i]], i - 1);
      B[i].set([6 / h[i - 1], -6 / h[i - 1] - 6 / h[i], 6 / h[i]], i - 1);
    }
    return solve(A, B);
  };
  const interval = (knots, x) => Math.min(Math.max(landscope.lastAtOrBelow(knots, x), 0), knots.length - 2);

  // Lagrange's polynomials at x: the weights of values at the knots in the one polynomial through all of them.
  const lagrange = (knots, x) =>
    knots.map((knot) =>
      knots.reduce((part, other) => (other === knot ? part : (part * (x - other)) / (knot - other)), 1),
    );

  // The matrices (points, knots) that take values at ascending knots to the interpolant at points, by straight lines
  // and by cubics.
  const linear = (knots, points) => {
    const W = zeros(points.length, knots.length);
    points.forEach((x, row) => {
      const i = interval(knots, x),
        right = (x - knots[i]) / (knots[i + 1] - knots[i]);
      W[row][i] = 1 - right;
      W[row][i + 1] = right;
    });
    return W;
  };
  const cubic = (knots, points) => {
    const n = knots.length;
    if (n <= 3) return points.map((x) => Float64Array.from(lagrange(knots, x)));
    const W = zeros(points.length, n),
      M = curvatures(knots);
    points.forEach((x, row) => {
      const i = interval(knots, x),
        h = knots[i + 1] - knots[i],
        left = (knots[i + 1] - x) / h,
        right = (x - knots[i]) / h;
      const a = ((left ** 3 - left) * h * h) / 6,
        b = ((right ** 3 - right) * h * h) / 6;
      for (let j = 0; j < n; j += 1) W[row][j] = a * M[i][j] + b * M[i + 1][j];
      W[row][i] += left;
      W[row][i + 1] += right;
    });
    return W;
  };
  const times = (A, B) => {
    const columns = B[0].length,
      C = zeros(A.length, columns);
    A.forEach((row, i) =>
      row.forEach((factor, k) => {
        for (let j = 0; j < columns; j += 1) C[i][j] += factor * B[k][j];
      }),
    );
    return C;
  };
  const transpose = (A) => {
    const T = zeros(A[0].length, A.length);
    A.forEach((row, i) =>
      row.forEach((value, j) => {
        T[j][i] = value;
      }),
    );
    return T;
  };
  // Values (x, y) on a grid of ascending coordinates, at every pair of newX and newY: one axis after the other.
  const grid = (x, y, values, newX, newY, rule = cubic) =>
    times(times(rule(x, newX), values), transpose(rule(y, newY)));

  return { linear, cubic, grid, lagrange, interval };
})();
