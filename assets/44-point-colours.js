// What the points of an embedding are coloured by, as far as the measurement knows it of each example.
landscope.pointColours = (() => {
  const { format, run } = landscope;
  const NAMED = 10; // classes with a hue of their own; more go round a circle
  const DECADES = 6; // of losses on one scale: what is smaller shares a colour
  const PICTURES = ["embedding", "embedding/umap"]; // frames of the same examples, so that they share their scales

  const FIELDS = {
    class: "labels",
    prediction: "predictions",
    correct: "predictions",
    loss: "losses",
    margin: "margins",
    learned: "learned",
  };
  const CONTINUOUS = ["loss", "margin", "learned"];
  const known = (projection) => landscope.view.choices.colour.filter((name) => projection[FIELDS[name]]);
  const chosen = (projection) => {
    const { colour } = landscope.view.state;
    return known(projection).includes(colour) ? colour : "class";
  };
  const right = ({ labels, predictions }, index) => predictions.data[index] === labels.data[index];

  const hue = (classes, look) => (label) => {
    if (label < 0) return look.colours.muted;
    return classes <= NAMED
      ? look.colours.palette[label % NAMED]
      : look.cyclic[Math.floor((360 * label) / classes) % 360];
  };
  // The limits that the frames of the whole run give of their losses or margins, so that no scale changes in playback.
  const limits = (...names) => run.rangeOf(PICTURES.flatMap((frame) => names.map((name) => `${frame}/${name}`)));
  // Values, the ends of the run's scale, and its colours: losses and steps by their logarithm, margins evenly about zero.
  const continuous = (projection, look) => {
    const by = chosen(projection),
      { colours } = look;
    const values = Array.from(projection[FIELDS[by]].data);
    if (by === "loss") {
      const { lo, hi } = limits("loss.low", "loss.high") || { lo: 1, hi: 1 };
      const least = Math.max(lo, hi / 10 ** DECADES);
      const places = values.map((value) => Math.log10(Math.max(value, least)));
      return { places, ends: [least, hi].map(Math.log10), scale: look.sequential };
    }
    if (by === "learned") {
      const places = values.map((step) => (step < 0 ? NaN : Math.log1p(step)));
      return { places, ends: [0, Math.log1p(Math.max(run.lastStep(), 1))], scale: look.sequential };
    }
    const reach = limits("margin.reach")?.hi ?? 1;
    return { places: values, ends: [-reach, reach], scale: [colours.second, colours.axis, colours.first] };
  };

  const SHADES = 64;
  const between = (scale, share) => {
    const place = Math.min(Math.max(share, 0), 1) * (scale.length - 1),
      from = Math.min(Math.floor(place), scale.length - 2);
    const channel = (colour, at) => parseInt(colour.slice(at, at + 2), 16);
    const mixed = [1, 3, 5].map((at) => {
      const [a, b] = [channel(scale[from], at), channel(scale[from + 1], at)];
      return Math.round(a + (place - from) * (b - a));
    });
    return `rgb(${mixed.join(",")})`;
  };
  // Colour and symbol of every point.
  const marks = (projection, look) => {
    const by = chosen(projection),
      { colours } = look,
      count = projection.labels.data.length;
    const each = (made) => Array.from({ length: count }, (_, index) => made(index));
    if (by === "correct")
      return {
        colour: each((index) => (right(projection, index) ? colours.muted : colours.second)),
        symbol: each((index) => (right(projection, index) ? "o" : "x")),
      };
    const symbol = each((index) => (by === "learned" && projection.learned.data[index] < 0 ? "x" : "o"));
    if (CONTINUOUS.includes(by)) {
      const { places, ends, scale } = continuous(projection, look);
      const shades = Array.from({ length: SHADES }, (_, step) => between(scale, step / (SHADES - 1)));
      const step = (place) => Math.round(((SHADES - 1) * (place - ends[0])) / Math.max(ends[1] - ends[0], 1e-9));
      const shade = (place) =>
        Number.isFinite(place) ? shades[Math.min(Math.max(step(place), 0), SHADES - 1)] : colours.muted;
      return { colour: places.map(shade), symbol };
    }
    const { data } = projection[FIELDS[by]],
      tint = hue(projection.classes, look);
    return { colour: each((index) => tint(data[index])), symbol };
  };
  const words = (projection, index) => {
    const { labels, predictions, losses, margins, learned, positions } = projection;
    const label = labels.data[index],
      since = learned?.data[index];
    return [
      label < 0 ? "no class" : `class ${label}`,
      predictions ? `predicted ${predictions.data[index]}` : "",
      losses ? `loss ${format.number(losses.data[index])}` : "",
      margins && Number.isFinite(margins.data[index]) ? `margin ${format.number(margins.data[index])}` : "",
      since >= 0 ? `right since step ${format.whole(since)}` : "",
      positions ? `example ${format.whole(positions.data[index])}` : "",
    ]
      .filter(Boolean)
      .join(", ");
  };
  const gradient = (colours) => `linear-gradient(90deg, ${colours.join(", ")})`;
  const legend = (projection, look) => {
    const by = chosen(projection),
      { colours } = look;
    if (CONTINUOUS.includes(by)) {
      const { ends, scale } = continuous(projection, look);
      const bar = { swatch: gradient(scale), gradient: true };
      if (by === "learned") {
        const wrong = projection.learned.data.filter((step) => step < 0).length;
        return [
          { ...bar, label: "since step", value: `0 – ${format.whole(Math.round(Math.expm1(ends[1])))}` },
          { swatch: colours.muted, dot: true, label: "wrong ×", value: format.whole(wrong) },
        ];
      }
      const [low, high] = by === "loss" ? ends.map((end) => 10 ** end) : ends;
      return [{ ...bar, label: by, value: `${format.number(low, 2)} – ${format.number(high, 2)}` }];
    }
    if (by === "correct") {
      const count = projection.labels.data.length;
      const wrong = Array.from({ length: count }, (_, index) => index).filter((index) => !right(projection, index)).length;
      return [
        { swatch: colours.muted, dot: true, label: "right", value: format.whole(count - wrong) },
        { swatch: colours.second, dot: true, label: "wrong ×", value: format.whole(wrong) },
      ];
    }
    if (projection.classes <= NAMED) return [];
    const wheel = [0, 60, 120, 180, 240, 300, 359].map((angle) => look.cyclic[angle]);
    return [{ swatch: gradient(wheel), gradient: true, label: `classes 0–${projection.classes - 1}`, value: "" }];
  };
  // The class of each point that is named in the picture; null where colours are not of classes, or of too many.
  const groups = (projection) => {
    const by = chosen(projection);
    return ["class", "prediction"].includes(by) && projection.classes <= NAMED ? projection[FIELDS[by]].data : null;
  };
  return { known, chosen, marks, words, legend, groups };
})();
