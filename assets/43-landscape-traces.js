// What is drawn of a slice: the map or the surface with the training's path, and the curves along both axes.
landscope.landscapeTraces = (() => {
  const { heights, format } = landscope;
  const LEVELS = 18;
  const PALEST = 0.15; // opacity of a point of the path that is wholly outside of the plane
  const DOUBT = 2; // standard errors within which a loss is not told apart from the centre's
  const ROUNDING = 1e-6; // of losses in single precision, relative
  const FAR = 4; // beyond so many times that, it matters no more by how much

  const tint = (colour, opacity) =>
    `rgba(${[1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16)).join(",")},${opacity})`;
  const numberOf = (value, { share }) =>
    !Number.isFinite(value) ? "not finite" : share ? `${(100 * value).toFixed(1)} %` : format.number(value);
  const percent = (value) =>
    value < 0.0005 ? "under 0.1 %" : `±${Number((100 * value).toPrecision(value < 0.1 ? 1 : 2))} %`;
  const withError = (text, error) => (Number.isFinite(error) ? `${text} ± ${format.number(error, 2)}` : text);

  // The loss less that of the centre; zero where the two are one number, rounded on different ways.
  const aboveCentre = ({ centre_loss: centre }, loss) =>
    Math.abs(loss - centre) < ROUNDING * Math.abs(centre) ? 0 : loss - centre;

  // One text for every drawn point, once per relief: the value with its sampling error, and how it is known.
  const textsOf = (slice, quantity, relief, errors) => {
    if (relief.texts) return relief.texts;
    const { x, y, z, knots } = relief;
    const label = heights.plain(quantity.label);
    relief.texts = y.map((beta, j) =>
      x.map((alpha, i) => {
        const value = relief.value(z[j][i]);
        const error = errors.value ? errors.value(alpha, beta) : NaN,
          contrast = errors.contrast ? errors.contrast(alpha, beta) : NaN;
        const lines = [`${label} ${withError(numberOf(value, quantity), error)}`];
        if (Number.isFinite(contrast)) {
          const above = aboveCentre(slice, value);
          lines.push(`difference from the centre ${withError(format.number(above), contrast)}`);
          if (Math.abs(above) < DOUBT * contrast) lines.push("not told apart from the centre by these examples");
        }
        const computed = knots.x.has(alpha) && knots.y.has(beta);
        const stated = Number.isFinite(relief.error) ? `, ${percent(relief.error)}` : "";
        lines.push(computed ? "computed" : `interpolated${stated}`);
        return lines.join("<br>");
      }),
    );
    return relief.texts;
  };

  // The path with what is known of each of its points; null without one.
  const pathOf = (slice) => {
    if (!slice.path || slice.path.shape[0] < 1) return null;
    if (slice.line) return slice.line;
    const count = slice.path.shape[0],
      column = (array) => (array ? Array.from(array.data) : []);
    const x = Array.from({ length: count }, (_, t) => slice.path.data[2 * t]),
      y = Array.from({ length: count }, (_, t) => slice.path.data[2 * t + 1]);
    const away = column(slice.path_distances),
      [a, b, , c] = slice.gram ? slice.gram.data : [1, 0, 0, 1];
    const within = x.map((_, t) => Math.sqrt(a * x[t] ** 2 + 2 * b * x[t] * y[t] + c * y[t] ** 2));
    const furthest = Math.max(...x.map((_, t) => Math.hypot(within[t], away[t] || 0)));
    // 1 in the plane, PALEST at the path's greatest distance from the centre, all of it out of the plane.
    const opacity = x.map((_, t) => 1 - (1 - PALEST) * (furthest > 0 ? (away[t] || 0) / furthest : 0));
    slice.line = { x, y, away, opacity, steps: column(slice.path_steps), losses: column(slice.path_losses) };
    return slice.line;
  };
  // The loss of the points of the path, beside what the plane shows under them.
  const pathTexts = (slice, quantity, relief) => {
    const path = pathOf(slice);
    const feet = quantity.key === "loss" ? relief.along(path.x, path.y).map(relief.value) : [];
    return path.x.map((_, t) => {
      const lines = [path.steps.length ? `path, step ${format.whole(path.steps[t])}` : "path"];
      if (Number.isFinite(path.losses[t])) {
        const foot = Number.isFinite(feet[t]) ? `, ${format.number(feet[t])} in the plane below it` : "";
        lines.push(`loss ${format.number(path.losses[t])}${foot}`);
      }
      if (Number.isFinite(path.away[t])) lines.push(`${format.number(path.away[t], 2)} away from the plane`);
      return lines.join("<br>");
    });
  };

  // How many times DOUBT standard errors the loss is from the centre's, on the drawn grid; null without such errors.
  const doubtOf = (slice, relief, errors) => {
    if (!errors.contrast) return null;
    relief.doubt ||= relief.y.map((beta, j) =>
      relief.x.map((alpha, i) => {
        const above = Math.abs(aboveCentre(slice, relief.value(relief.z[j][i]))),
          error = errors.contrast(alpha, beta);
        if (!Number.isFinite(above) || !Number.isFinite(error)) return null;
        return above === 0 ? 0 : Math.min(above / (DOUBT * error), FAR);
      }),
    );
    return relief.doubt;
  };

  const map = ({ slice, quantity, relief, errors, low, high }, strip, look) => {
    const { accent, axis, muted } = look.colours;
    const { x, y, z, missing } = relief;
    const traces = [
      {
        type: "contour",
        x,
        y,
        z,
        zmin: low,
        zmax: high,
        colorscale: "Viridis",
        ...(strip ? { colorbar: strip } : { showscale: false }),
        autocontour: false,
        contours: { coloring: "heatmap", start: low, end: high, size: (high - low) / LEVELS },
        line: { width: 0.5, color: "rgba(255,255,255,0.4)" },
        text: textsOf(slice, quantity, relief, errors),
        hovertemplate: "α %{x:.3g}, β %{y:.3g}<br>%{text}<extra></extra>",
      },
    ];
    const doubt = doubtOf(slice, relief, errors);
    if (doubt && doubt.some((row) => row.some((value) => value !== null && value < 1)))
      traces.push({
        type: "contour",
        name: "doubt",
        x,
        y,
        z: doubt,
        autocontour: false,
        contours: { type: "constraint", operation: ">", value: 1 }, // plotly shades what a constraint excludes
        fillcolor: "rgba(255,255,255,0.28)",
        line: { width: 1.2, color: "rgba(255,255,255,0.95)", dash: "dot", smoothing: 0 },
        showscale: false,
        hoverinfo: "skip",
      });
    if (relief.holes)
      traces.push(
        {
          type: "heatmap",
          x,
          y,
          z: z.map((row) => row.map((value) => (value === null ? 1 : null))),
          showscale: false,
          colorscale: [
            [0, axis],
            [1, axis],
          ],
          hovertemplate: "not drawn: a computed point beside is not finite<extra></extra>",
        },
        {
          type: "scatter",
          mode: "markers",
          x: missing.x,
          y: missing.y,
          marker: { symbol: "x-thin", size: 5, line: { width: 1, color: muted } },
          hovertemplate: `${heights.plain(quantity.label)} is not finite<extra></extra>`,
        },
      );
    return [...traces, ...pathOnMap(slice, quantity, relief, accent), present(accent), ...placeOn(slice)];
  };
  const pathOnMap = (slice, quantity, relief, accent) => {
    const path = pathOf(slice);
    if (!path) return [];
    const common = { type: "scatter", x: path.x, y: path.y };
    return [
      { ...common, mode: "lines", line: { width: 3.5, color: "rgba(255,255,255,0.55)" }, hoverinfo: "skip" },
      { ...common, mode: "lines", line: { width: 1.4, color: accent }, opacity: 0.55, hoverinfo: "skip" },
      {
        ...common,
        name: "path",
        mode: "markers",
        marker: { size: 4.5, color: accent, opacity: path.opacity },
        text: pathTexts(slice, quantity, relief),
        hovertemplate: "%{text}<extra></extra>",
      },
      {
        type: "scatter",
        mode: "markers",
        x: [path.x[0]],
        y: [path.y[0]],
        marker: { symbol: "circle", size: 8, color: "#ffffff", line: { width: 2, color: accent } },
        hoverinfo: "skip",
      },
    ];
  };
  // Where it is to be measured.
  const placeOn = (slice) => {
    if (!landscope.place.isOn(slice)) return [];
    const { alpha, beta } = landscope.place.current();
    return [
      {
        type: "scatter",
        name: "place",
        mode: "markers",
        x: [alpha],
        y: [beta],
        marker: { symbol: "diamond", size: 10, color: "#ffffff", line: { width: 1.5, color: "#1a1a1a" } },
        hovertemplate: "to be measured: α %{x}, β %{y}<extra></extra>",
      },
    ];
  };
  const present = (accent) => ({
    type: "scatter",
    mode: "markers",
    x: [0],
    y: [0],
    marker: { size: 10, color: accent, line: { width: 2, color: "#ffffff" } },
    hovertemplate: "the weights at this step<extra></extra>",
  });

  const surface = ({ slice, quantity, relief, errors, low, high, centre }, strip, look) => {
    const { accent } = look.colours;
    const lift = 0.012 * (high - low);
    const { x, y, z } = relief;
    const traces = [
      {
        type: "surface",
        x,
        y,
        z,
        cmin: low,
        cmax: high,
        colorscale: "Viridis",
        colorbar: strip,
        lighting: { ambient: 0.72, diffuse: 0.55, specular: 0.06, roughness: 0.9, fresnel: 0.05 },
        text: textsOf(slice, quantity, relief, errors),
        hovertemplate: "α %{x:.3g}, β %{y:.3g}<br>%{text}<extra></extra>",
      },
    ];
    if (centre !== null)
      traces.push({
        type: "scatter3d",
        mode: "markers",
        x: [0],
        y: [0],
        z: [centre + lift],
        marker: { size: 5, color: accent, line: { width: 1, color: "#ffffff" } },
        hoverinfo: "skip",
      });
    const path = pathOf(slice);
    if (!path) return traces;
    // On the drawn triangles, not on the spline between them, which they would hide in part.
    const columns = x.map((_, i) => y.map((_, j) => z[j][i]));
    const above = path.x.map((px, t) => heights.bilinear(x, y, columns, px, path.y[t]) + lift);
    if (!above.some(Number.isFinite)) return traces;
    const common = { type: "scatter3d", x: path.x, y: path.y, z: above };
    return [
      ...traces,
      { ...common, mode: "lines", line: { width: 4, color: accent }, hoverinfo: "skip" },
      {
        ...common,
        mode: "markers",
        marker: { size: 2.5, color: path.opacity.map((opacity) => tint(accent, opacity)) },
        text: pathTexts(slice, quantity, relief),
        hovertemplate: "%{text}<extra></extra>",
      },
    ];
  };

  // The outline of a band between two lines, one closed piece for every stretch without a gap.
  const band = (at, lower, upper) => {
    const x = [],
      y = [];
    let start = 0;
    for (let end = 0; end <= at.length; end += 1) {
      if (end < at.length && Number.isFinite(lower[end]) && Number.isFinite(upper[end])) continue;
      if (end - start > 1) {
        x.push(...at.slice(start, end), ...at.slice(start, end).reverse(), null);
        y.push(...upper.slice(start, end), ...lower.slice(start, end).reverse(), null);
      }
      start = end + 1;
    }
    return { x, y };
  };
  const cuts = ({ quantity, relief, errors, low, logarithmic, centre }, look) => {
    const { first, second, accent, surface: ground } = look.colours;
    const common = { type: "scatter", xaxis: "x2", yaxis: "y2", hoverinfo: "skip" };
    // What would be below zero ends under the axis.
    const height = (value) => (!logarithmic || Number.isNaN(value) ? value : value > 0 ? Math.log10(value) : low - 1);
    const cut = (name, at, xs, ys, colour, dash) => {
      const line = relief.along(xs, ys);
      const traces = [{ ...common, mode: "lines", name, x: at, y: line, line: { width: 1.6, color: colour, dash } }];
      if (!errors.value) return traces;
      const around = (sign) =>
        line.map((one, t) => height(relief.value(one) + sign * DOUBT * errors.value(xs[t], ys[t])));
      const filled = { ...common, mode: "lines", name: `error ${name}`, ...band(at, around(-1), around(1)) };
      return [{ ...filled, fill: "toself", fillcolor: tint(colour, 0.16), line: { width: 0 } }, ...traces];
    };
    const { x, y } = relief;
    return [
      ...cut("along α", x, x, x.map(() => 0), first, "solid"),
      ...cut("along β", y, y.map(() => 0), y, second, "dash"),
      {
        ...common,
        mode: "markers",
        name: quantity.key,
        x: [0],
        y: [centre],
        marker: { size: 7, color: accent, line: { width: 1.5, color: ground } },
        cliponaxis: false,
      },
    ];
  };
  return { map, surface, cuts, numberOf, withError, percent };
})();
