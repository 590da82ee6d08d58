// What is known of the example that is pointed at: its numbers, and as far as the run keeps it, its thumbnail or text.
landscope.examples = (() => {
  const { run, frames, element, setText, cloud, pointColours } = landscope;
  const NAME = "examples";
  const rows = new WeakMap(); // measurement -> Map of position -> row
  let box = null,
    pointed = null; // { projection, index } of the point

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
  const show = () => {
    box.hidden = !pointed;
    if (!pointed) return;
    const { projection, index } = pointed,
      [canvas, numbers, words] = box.children;
    const frame = run.frameAt(NAME, Infinity);
    const found = frame && frames.get(frame.seq);
    if (frame && !found) frames.want(NAME, frame.seq, show);
    const row = found && projection.positions ? rowOf(found, projection.positions.data[index]) : undefined;
    canvas.hidden = row === undefined || !found.thumbnails;
    if (!canvas.hidden) paint(canvas, found.thumbnails, row);
    setText(numbers, pointColours.words(projection, index));
    setText(words, row === undefined ? "" : found.texts?.[row] ?? "");
  };
  const point = (projection, index) => {
    pointed = projection && index !== null ? { projection, index } : null;
    show();
  };
  // `shown` gives the present projection.
  const mount = (graph, shown) => {
    box = element("div", { className: "example", hidden: "" }, [element("canvas"), element("p"), element("p")]);
    graph.closest(".stage").append(box);
    graph.addEventListener("pointermove", (event) => point(shown(), cloud.pointed(graph, event)));
    graph.addEventListener("pointerleave", () => point(null, null));
  };
  return { mount, forget: () => point(null, null) };
})();
