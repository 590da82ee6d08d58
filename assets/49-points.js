// What can be chosen of the points of an embedding: their colours, and with a lasso some of them.
landscope.points = (() => {
  const { view, find, element, format, pointColours } = landscope;
  const NAMED = 4; // classes that the caption counts one by one
  let place = null,
    graph = null,
    select = null,
    shown = null,
    drawing = false; // whether dragging draws a lasso

  const lasso = () => drawing;
  const positionsOf = ({ positions, labels }) => positions?.data ?? labels.data.map((_, index) => index);
  // For each point whether its example is selected.
  const selected = (projection) => {
    const chosen = new Set(view.state.chosen ? view.state.chosen.split(",").map(Number) : []);
    return Array.from(positionsOf(projection), (position) => chosen.has(position));
  };
  const indicesOf = (projection) => selected(projection).flatMap((one, index) => (one ? [index] : []));

  const summary = (projection) => {
    const indices = indicesOf(projection);
    if (!indices.length) return "";
    const counts = new Map();
    indices.forEach((index) => {
      const label = projection.labels.data[index];
      counts.set(label, (counts.get(label) || 0) + 1);
    });
    const classes = [...counts].sort(([a, n], [b, m]) => m - n || a - b);
    const named = classes.slice(0, NAMED).map(([label, n]) => `${label < 0 ? "no class" : `class ${label}`} (${n})`);
    if (classes.length > NAMED) named.push(`${classes.length - NAMED} more classes`);
    const { length: count } = projection.labels.data;
    return `${format.whole(indices.length)} of ${format.whole(count)} selected: ${named.join(", ")}`;
  };
  // The selected examples as Python needs them to be named; null where there are none, or their positions are unknown.
  const selection = (projection) => {
    const indices = indicesOf(projection);
    if (!indices.length || !projection.positions) return null;
    const positions = indices.map((index) => projection.positions.data[index]);
    return { available: projection.available ?? projection.labels.data.length, positions };
  };

  // By the even-odd rule: how often a ray to the right of a point crosses the outline.
  const inside = (x, y, outline) => {
    let within = false;
    outline.x.forEach((x1, index) => {
      const before = (index || outline.x.length) - 1;
      const [y1, x0, y0] = [outline.y[index], outline.x[before], outline.y[before]];
      if (y1 > y !== y0 > y && x < x1 + ((y - y1) * (x0 - x1)) / (y0 - y1)) within = !within;
    });
    return within;
  };
  // Of all points, whether they are drawn or not.
  const choose = (outline) => {
    const [x, y] = landscope.drawers.embedding.coordinates(shown);
    const positions = [...positionsOf(shown)].filter((_, index) => inside(x[index], y[index], outline));
    view.set({ chosen: positions.join(",") });
    drawAgain();
  };
  const clear = () => view.set({ chosen: "" });
  const drawAgain = () => landscope.painter.invalidate("embedding", true);
  const toggle = () => {
    drawing = !drawing;
    place.querySelector("button").classList.toggle("on", drawing);
    place.querySelector("button").setAttribute("aria-pressed", String(drawing));
    drawAgain();
  };

  const show = (projection) => {
    if (!place) return;
    shown = projection;
    place.hidden = !projection;
    if (!projection) {
      landscope.cloud.hide(graph);
      landscope.examples.forget(graph);
      return;
    }
    const known = pointColours.known(projection);
    select.hidden = known.length < 2;
    if (select.dataset.key !== known.join()) {
      select.dataset.key = known.join();
      select.replaceChildren(...known.map((name) => element("option", { value: name, text: name })));
    }
    select.value = pointColours.chosen(projection);
  };
  const mount = () => {
    place = find("[data-points]");
    select = element("select", { className: "select", "aria-label": "Colour of the points" });
    select.addEventListener("change", () => view.set({ colour: select.value }));
    place.prepend(select);
    graph = find("#graph-embedding > div");
    landscope.examples.mount(graph, {
      shown: () => shown,
      pointed: landscope.cloud.pointed,
      words: pointColours.words,
    });
    landscope.graphs.listen(graph, "plotly_selected", (event) => {
      if (shown && event?.lassoPoints) choose(event.lassoPoints);
    });
    ["plotly_deselect", "plotly_doubleclick"].forEach((event) =>
      landscope.graphs.listen(graph, event, () => drawing && clear()),
    );
  };
  return { mount, show, toggle, lasso, selected, selection, summary };
})();
