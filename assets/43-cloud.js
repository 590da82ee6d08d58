// Many points on a canvas behind a graph, whose axes place them: as marks of its SVG, some hundred of them are slow.
landscope.cloud = (() => {
  const { element } = landscope;
  const NEAR = 9; // pixels from the pointer at which a point is meant
  const RING = 5; // pixels, the radius of what marks it
  const painted = new Map(); // graph -> { canvas, ring, dots, places }

  const layer = (graph) => {
    if (!painted.has(graph)) {
      const canvas = element("canvas", { className: "cloud" }),
        ring = element("div", { className: "ring", hidden: "" });
      const stage = graph.closest(".stage");
      stage.prepend(canvas);
      stage.append(ring);
      painted.set(graph, { canvas, ring, dots: null, places: [] });
    }
    return painted.get(graph);
  };
  const circle = (context, [x, y], radius) => {
    context.moveTo(x + radius, y);
    context.arc(x, y, radius, 0, 2 * Math.PI);
  };
  const cross = (context, [x, y], radius) => {
    const half = 0.6 * radius,
      [a, b] = [x - radius, x + radius];
    context.moveTo(a, y - radius + half);
    [[a + half, y - radius], [x, y - half], [b - half, y - radius], [b, y - radius + half], [x + half, y]].forEach((at) =>
      context.lineTo(...at),
    );
    [[b, y + radius - half], [b - half, y + radius], [x, y + half], [a + half, y + radius], [a, y + radius - half]].forEach(
      (at) => context.lineTo(...at),
    );
    context.lineTo(x - half, y);
    context.closePath();
  };
  // Points of one look are drawn in one go: `dots` has x, y, and for each point its colour, opacity and symbol.
  const paint = (graph, dots) => {
    const kept = layer(graph),
      { canvas } = kept,
      { _fullLayout: full } = graph,
      ratio = window.devicePixelRatio || 1;
    const { xaxis, yaxis, width, height } = full;
    Object.assign(canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio), hidden: false });
    Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    context.beginPath();
    context.rect(xaxis._offset, yaxis._offset, xaxis._length, yaxis._length);
    context.clip();
    const places = Array.from(dots.x, (x, index) => [
      xaxis._offset + xaxis.d2p(x),
      yaxis._offset + yaxis.d2p(dots.y[index]),
    ]);
    const looks = new Map();
    places.forEach((_, index) => {
      const key = `${dots.opacity[index]} ${dots.symbol[index]} ${dots.colour[index]}`;
      if (!looks.has(key)) looks.set(key, []);
      looks.get(key).push(index);
    });
    const faintest = [...looks.values()].sort(([a], [b]) => dots.opacity[a] - dots.opacity[b]);
    faintest.forEach((indices) => {
      const [first] = indices;
      const mark = dots.symbol[first] === "x" ? cross : circle;
      context.globalAlpha = dots.opacity[first];
      context.fillStyle = dots.colour[first];
      // Each path is filled for itself, so that points of one colour lying over one another can be told apart.
      indices.forEach((index) => {
        context.beginPath();
        mark(context, places[index], dots.radius);
        context.fill();
      });
    });
    Object.assign(kept, { dots, places });
    kept.ring.hidden = true;
  };
  const hide = (graph) => {
    const kept = painted.get(graph);
    if (!kept) return;
    kept.canvas.hidden = kept.ring.hidden = true;
    Object.assign(kept, { dots: null, places: [] });
  };
  // The index of the point at a place in the window, marked with a ring; null where there is none.
  const pointed = (graph, { clientX, clientY }) => {
    const kept = painted.get(graph);
    if (!kept?.dots) return null;
    const { left, top } = kept.canvas.getBoundingClientRect();
    const [x, y] = [clientX - left, clientY - top];
    let nearest = null,
      least = NEAR ** 2;
    kept.places.forEach(([a, b], index) => {
      const square = (a - x) ** 2 + (b - y) ** 2;
      if (square < least) [nearest, least] = [index, square];
    });
    kept.ring.hidden = nearest === null;
    if (nearest !== null) {
      const [a, b] = kept.places[nearest];
      Object.assign(kept.ring.style, { left: `${a - RING}px`, top: `${b - RING}px` });
    }
    return nearest;
  };
  return { paint, hide, pointed, dots: (graph) => painted.get(graph)?.dots ?? null };
})();
