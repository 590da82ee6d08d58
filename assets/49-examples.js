// What is known of the example that is pointed at: its numbers, and as far as the run keeps it, its thumbnail or text.
landscope.examples = (() => {
  const { run, frames, element, setText } = landscope;
  const NAME = "examples";
  const rows = new WeakMap(); // measurement -> Map of position -> row
  const boxes = new Map(); // graph -> what hides its box

  const rowOf = (measurement, position) => {
    if (!rows.has(measurement))
      rows.set(measurement, new Map(Array.from(measurement.positions.data, (place, row) => [place, row])));
    return rows.get(measurement).get(position);
  };
  const paint = (canvas, { data, shape }, row) => {
    const [, height, width, channels] = shape;
    Object.assign(canvas, { width, height });
    const picture = new ImageData(width, height);
    for (let pixel = 0; pixel < width * height; pixel += 1)
      for (let channel = 0; channel < 4; channel += 1) {
        const from = (row * width * height + pixel) * channels + Math.min(channel, channels - 1);
        picture.data[4 * pixel + channel] = channel < 3 ? data[from] : 255;
      }
    canvas.getContext("2d").putImageData(picture, 0, 0);
  };
  // `shown` gives the present measurement, `pointed` the example of it that an event is at, null for none, and `words`
  // what is known of that.
  const mount = (graph, { shown, pointed, words }) => {
    const box = element("div", { className: "example", hidden: "" }, [element("canvas"), element("p"), element("p")]);
    let at = null; // { measurement, index } of the example
    const show = () => {
      box.hidden = !at;
      if (!at) return;
      const { measurement, index } = at,
        [canvas, numbers, text] = box.children;
      const frame = run.frameAt(NAME, Infinity);
      const found = frame && frames.get(frame.seq);
      if (frame && !found) frames.want(NAME, frame.seq, show);
      const row = found && measurement.positions ? rowOf(found, measurement.positions.data[index]) : undefined;
      canvas.hidden = row === undefined || !found.thumbnails;
      if (!canvas.hidden) paint(canvas, found.thumbnails, row);
      setText(numbers, words(measurement, index));
      setText(text, row === undefined ? "" : found.texts?.[row] ?? "");
    };
    const point = (measurement, index) => {
      at = measurement && index !== null ? { measurement, index } : null;
      show();
    };
    graph.closest(".stage").append(box);
    graph.addEventListener("pointermove", (event) => point(shown(), pointed(graph, event, shown())));
    graph.addEventListener("pointerleave", () => point(null, null));
    boxes.set(graph, () => point(null, null));
  };
  return { mount, forget: (graph) => boxes.get(graph)?.() };
})();
