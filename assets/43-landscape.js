// The loss on a plane: map or surface on the left, the same numbers along both axes on the right. The strip of colours
// stands on the axis of the curves, as both are losses on one scale.
landscope.landscapePanel = (() => {
  const { heightsOf, scale, nearestZero, textOf, pathOf, heightAt } = landscope.heights;
  const LEVELS = 18,
    STRIP_PX = 9,
    LABELS_PX = 58;

  const UNITS = { filter: "filter norms", model: "norm of all weights", none: "length in weight space" };

  const frameName = () => `slice/${landscope.view.state.plane}`;

  // Where things are, in shares of the drawing area. A scene needs all the room there is for the labels around it.
  const places = (graph, base, surface) => {
    const margin = surface ? { ...base.margin, l: 0, b: 0 } : base.margin;
    const width = Math.max(graph.clientWidth - margin.l - margin.r, 100),
      height = Math.max(graph.clientHeight - margin.t - margin.b, 80);
    const map = surface ? 0.6 * width : Math.min(1.12 * height, 0.6 * width);
    return {
      margin,
      map: map / width,
      strip: (map + LABELS_PX) / width,
      cuts: (map + LABELS_PX + STRIP_PX) / width,
      floor: surface ? Math.min(base.margin.b / height, 0.5) : 0,
    };
  };

  const draw = (panel, graph, base, look, zoom, slice) => {
    const { low, high, logarithmic, labels } = scale(frameName());
    const grid = heightsOf(slice, logarithmic);
    // A scene cannot draw what has not one finite coordinate; the map shows that as it is.
    const surface = landscope.view.state.style === "surface" && grid.holes < slice.loss.data.length;
    const place = places(graph, base, surface);
    const alpha = Array.from(slice.alpha.data),
      beta = Array.from(slice.beta.data);
    const strip = {
      x: place.strip,
      xanchor: "left",
      xpad: 0,
      y: place.floor,
      yanchor: "bottom",
      len: 1 - place.floor,
      ypad: 0,
      thickness: STRIP_PX,
      showticklabels: false,
      ticks: "",
      outlinewidth: 0,
      title: { text: "" },
    };
    const layout = {
      ...base,
      margin: place.margin,
      template: look.template,
      uirevision: `${frameName()} ${surface}`,
      shapes: [],
      annotations: [],
    };
    const unit = UNITS[slice.normalisation] || slice.normalisation;
    const axisNames = ["α", "β"].map((name) => `${name} (${unit})`);
    layout.xaxis2 = {
      domain: [place.cuts, 1],
      anchor: "y2",
      range: [Math.min(alpha[0], beta[0]), Math.max(alpha.at(-1), beta.at(-1))],
      title: { text: "along α, β" },
      nticks: 5,
      showgrid: false,
    };
    layout.yaxis2 = {
      domain: [place.floor, 1],
      anchor: "free",
      position: place.strip,
      range: [low, high],
      title: { text: logarithmic ? "loss (log scale)" : "loss", standoff: 3 },
      showline: false,
      ...labels,
    };
    const traces = surface
      ? solid(slice, grid, alpha, beta, low, high, strip, centreOf(slice, logarithmic), look)
      : flat(slice, grid, alpha, beta, low, high, strip, look);
    if (surface) {
      // Even invisible axes would lie over the scene and take its drags.
      delete layout.xaxis;
      delete layout.yaxis;
      layout.scene = {
        ...landscope.sceneBase,
        domain: { x: [0, place.map], y: [0, 1] },
        uirevision: frameName(),
        xaxis: { title: { text: "α" }, nticks: 5, range: [alpha[0], alpha.at(-1)] },
        yaxis: { title: { text: "β" }, nticks: 5, range: [beta[0], beta.at(-1)] },
        zaxis: { title: { text: "loss" }, range: [low, high], ...labels },
      };
    } else {
      layout.xaxis = {
        domain: [0, place.map],
        range: zoom.xaxis || [alpha[0], alpha.at(-1)],
        title: { text: axisNames[0] },
        showgrid: false,
        nticks: 6,
      };
      layout.yaxis = {
        range: zoom.yaxis || [beta[0], beta.at(-1)],
        title: { text: axisNames[1] },
        showgrid: false,
        nticks: 6,
      };
    }
    return Plotly.react(graph, [...traces, ...cuts(grid, alpha, beta, centreOf(slice, logarithmic), look)], layout);
  };

  // The height of the weights themselves, which need not be on the grid.
  const centreOf = (slice, logarithmic) => {
    const height = logarithmic ? Math.log10(slice.centre_loss) : slice.centre_loss;
    return Number.isFinite(height) ? height : null;
  };

  const cuts = (grid, alpha, beta, centre, look) => {
    const common = { type: "scatter", mode: "lines", xaxis: "x2", yaxis: "y2", hoverinfo: "skip" };
    return [
      {
        ...common,
        x: alpha,
        y: alpha.map((x) => heightAt(grid.z, alpha, beta, x, 0)),
        line: { width: 1.6, color: look.colours.first },
        name: "along α",
      },
      {
        ...common,
        x: beta,
        y: beta.map((y) => heightAt(grid.z, alpha, beta, 0, y)),
        line: { width: 1.6, color: look.colours.second, dash: "dash" },
        name: "along β",
      },
      {
        ...common,
        mode: "markers",
        x: [0],
        y: [centre],
        marker: { size: 7, color: look.colours.accent, line: { width: 1.5, color: look.colours.surface } },
        cliponaxis: false,
      },
    ];
  };

  const flat = (slice, grid, alpha, beta, low, high, strip, look) => {
    const { accent, axis, muted } = look.colours;
    const traces = [
      {
        type: "contour",
        x: alpha,
        y: beta,
        z: grid.z,
        zmin: low,
        zmax: high,
        colorscale: "Viridis",
        colorbar: strip,
        autocontour: false,
        contours: { coloring: "heatmap", start: low, end: high, size: (high - low) / LEVELS },
        line: { width: 0.5, color: "rgba(255,255,255,0.4)" },
        text: grid.z.map((row) => row.map((value) => textOf(value, slice, grid))),
        hovertemplate: "α %{x:.3g}, β %{y:.3g}<br>loss %{text}<extra></extra>",
      },
    ];
    if (grid.holes) {
      traces.push(
        {
          type: "heatmap",
          x: alpha,
          y: beta,
          z: grid.missing.cells,
          showscale: false,
          colorscale: [
            [0, axis],
            [1, axis],
          ],
          hoverinfo: "skip",
        },
        {
          type: "scatter",
          mode: "markers",
          x: grid.missing.x,
          y: grid.missing.y,
          marker: { symbol: "x-thin", size: 5, line: { width: 1, color: muted } },
          hovertemplate: "loss is not finite<extra></extra>",
        },
      );
    }
    const path = pathOf(slice);
    if (path) {
      traces.push(
        {
          type: "scatter",
          mode: "lines",
          x: path.x,
          y: path.y,
          line: { width: 3.5, color: "rgba(255,255,255,0.55)" },
          hoverinfo: "skip",
        },
        {
          type: "scatter",
          mode: "lines",
          x: path.x,
          y: path.y,
          line: { width: 1.8, color: accent },
          text: path.steps,
          hovertemplate: "step %{text}<extra>path</extra>",
        },
        {
          type: "scatter",
          mode: "markers",
          x: [path.x[0]],
          y: [path.y[0]],
          marker: { symbol: "circle", size: 8, color: "#ffffff", line: { width: 2, color: accent } },
          hovertemplate: "start of the path<extra></extra>",
        },
      );
    }
    traces.push({
      type: "scatter",
      mode: "markers",
      x: [0],
      y: [0],
      marker: { size: 10, color: accent, line: { width: 2, color: "#ffffff" } },
      hovertemplate: "the weights at this step<extra></extra>",
    });
    return traces;
  };

  const solid = (slice, grid, alpha, beta, low, high, strip, centre, look) => {
    const { accent } = look.colours;
    const lift = 0.012 * (high - low);
    const traces = [
      {
        type: "surface",
        x: alpha,
        y: beta,
        z: grid.z,
        cmin: low,
        cmax: high,
        colorscale: "Viridis",
        colorbar: strip,
        lighting: { ambient: 0.72, diffuse: 0.55, specular: 0.06, roughness: 0.9, fresnel: 0.05 },
        text: grid.z.map((row) => row.map((value) => textOf(value, slice, grid))),
        hovertemplate: "α %{x:.3g}, β %{y:.3g}<br>loss %{text}<extra></extra>",
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
    if (path) {
      const z = path.x.map((x, index) => heightAt(grid.z, alpha, beta, x, path.y[index]) + lift);
      if (z.some(Number.isFinite))
        traces.push({
          type: "scatter3d",
          mode: "lines",
          x: path.x,
          y: path.y,
          z,
          line: { width: 5, color: accent },
          hoverinfo: "skip",
        });
    }
    return traces;
  };

  const readout = (slice, look) => {
    const { number, share } = landscope.format;
    const items = [{ swatch: look.colours.accent, dot: true, label: "loss here", value: number(slice.centre_loss) }];
    const alpha = slice.alpha.data,
      beta = slice.beta.data,
      i0 = nearestZero(Array.from(alpha)),
      j0 = nearestZero(Array.from(beta));
    if (alpha[i0] === 0 && beta[j0] === 0) {
      const off = Math.abs(slice.loss.data[i0 * beta.length + j0] - slice.centre_loss);
      if (Number.isFinite(off)) items.push({ label: "self-check", value: off === 0 ? "exact" : `±${number(off, 1)}` });
    }
    if (slice.path && slice.path.shape[0] > 1 && Number.isFinite(slice.explained))
      items.push({ label: "of the path is in this plane", value: share(slice.explained), after: true });
    items.push(
      { swatch: look.colours.first, label: "along α", value: "" },
      { swatch: look.colours.second, dash: "dash", label: "along β", value: "" },
    );
    const { holes } = heightsOf(slice, scale(frameName()).logarithmic);
    if (holes)
      items.push({
        label: "cells not finite",
        value: `${landscope.format.whole(holes)} of ${landscope.format.whole(slice.loss.data.length)}`,
        after: true,
      });
    return items;
  };
  const details = (slice) => [
    slice.normalisation && slice.normalisation !== "none" ? `${slice.normalisation}-normalised` : "",
  ];
  return { frameName, draw, readout, details };
})();
