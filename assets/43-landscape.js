// The loss on a plane: map or surface on the left, the same numbers along both axes on the right. The strip of colours
// stands on the axis of the curves, as both are numbers on one scale.
landscope.drawers.landscape = (() => {
  const { heights, landscapeTraces: traces, format } = landscope;
  const STRIP_PX = 9,
    LABELS_PX = 58;

  const UNITS = {
    filter: "filter norms",
    layer: "layer norms",
    tensor: "norms of each tensor",
    model: "norm of all weights",
    none: "length in weight space",
  };
  const abreast = () => landscope.view.state.plane === "all";
  const onDemand = () => landscope.view.state.plane === "asked";
  const frameName = () => {
    if (abreast()) return landscope.abreast.names()[0];
    return onDemand() ? landscope.asked.frameName() : `slice/${landscope.view.state.plane}`;
  };
  const unitOf = ({ normalisation }) => UNITS[normalisation] || heights.plain(normalisation);

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

  // A plane that was asked for has the scale of the run's own one as well.
  const scaledWith = ({ plane }) => [frameName(), ...(onDemand() ? [`slice/${plane}`] : [])];
  // All that drawings and texts of a slice have in common; the scale is that of all `names` together.
  const viewOf = (slice, names = scaledWith(slice)) => {
    const quantity = heights.shownOf(slice),
      scale = heights.scale(names, quantity);
    const relief = heights.reliefOf(slice, quantity, scale.logarithmic);
    return {
      slice,
      quantity,
      relief,
      ...scale,
      errors: heights.errorsOf(slice, quantity),
      centre: heights.centreOf(slice, quantity, relief, scale.logarithmic),
    };
  };

  const draw = (view, graph, base, look, zoom, slice) => {
    if (abreast()) return landscope.abreast.draw(graph, base, look, zoom);
    const shown = viewOf(slice),
      { quantity, relief, low, high, logarithmic, labels } = shown;
    // A scene cannot draw what has not one finite coordinate; the map shows that as it is.
    const surface = landscope.view.state.style === "surface" && !relief.empty;
    const place = places(graph, base, surface);
    const [alpha, beta] = [relief.x, relief.y].map((axis) => [axis[0], axis.at(-1)]);
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
    const unit = unitOf(slice),
      name = heights.plain(quantity.label);
    layout.xaxis2 = {
      domain: [place.cuts, 1],
      anchor: "y2",
      range: [Math.min(alpha[0], beta[0]), Math.max(alpha[1], beta[1])],
      title: { text: shown.errors.value ? "along α, β (bands: ±2 standard errors)" : "along α, β" },
      nticks: 5,
      showgrid: false,
    };
    layout.yaxis2 = {
      domain: [place.floor, 1],
      anchor: "free",
      position: place.strip,
      range: [low, high],
      title: { text: logarithmic ? `${name} (log scale)` : name, standoff: 3 },
      showline: false,
      ...labels,
    };
    if (surface) {
      // Even invisible axes would lie over the scene and take its drags.
      delete layout.xaxis;
      delete layout.yaxis;
      layout.scene = {
        ...landscope.sceneBase,
        domain: { x: [0, place.map], y: [0, 1] },
        uirevision: frameName(),
        xaxis: { title: { text: "α" }, nticks: 5, range: alpha },
        yaxis: { title: { text: "β" }, nticks: 5, range: beta },
        zaxis: { title: { text: name }, range: [low, high], ...labels },
      };
    } else {
      const common = { showgrid: false, nticks: 6 };
      layout.xaxis = { ...common, domain: [0, place.map], range: zoom.xaxis || alpha, title: { text: `α (${unit})` } };
      layout.yaxis = { ...common, range: zoom.yaxis || beta, title: { text: `β (${unit})` } };
    }
    const left = surface ? traces.surface(shown, strip, look) : traces.map(shown, strip, look);
    return landscope.graphs.draw(graph, [...left, ...traces.cuts(shown, look)], layout);
  };

  const readout = (slice, look) => {
    if (abreast()) return landscope.abreast.readout(look);
    const { share, whole } = format;
    const { quantity, relief, errors, centre } = viewOf(slice);
    const own = errors.value ? errors.value(0, 0) : NaN;
    const items = [
      {
        swatch: look.colours.accent,
        dot: true,
        label: `${quantity.label} here`,
        value: traces.withError(traces.numberOf(relief.value(centre), quantity), own),
      },
    ];
    const holes = relief.holes ? `, ${whole(relief.holes)} not finite` : "";
    items.push({ label: `points${holes}${stageOf(slice)}`, value: slice.loss.shape.join(" × "), after: true });
    if (Number.isFinite(relief.error)) items.push({ label: "between them", value: traces.percent(relief.error) });
    items.push(
      { swatch: look.colours.first, label: "along α", value: "" },
      { swatch: look.colours.second, dash: "dash", label: "along β", value: "" },
    );
    if (slice.path && slice.path.shape[0] > 1 && Number.isFinite(slice.explained))
      items.push({ label: "of the path in plane", value: share(slice.explained), after: true });
    return items;
  };
  // A stage before the last is followed by finer ones while the training goes on, unless a later step came in between.
  const stageOf = ({ stage, stages, provenance }) => {
    if (!(stage < stages)) return "";
    const { head } = landscope.run.data,
      newest = landscope.run.frameAt(frameName(), Infinity);
    if (onDemand() && landscope.asked.underway()) return ", sharpening";
    const live = !onDemand() && head && ["running", "paused"].includes(head.status) && newest && newest.step === provenance.step;
    return live ? ", sharpening" : `, stage ${stage} of ${stages}`;
  };
  const details = ({ normalisation, provenance }) => [
    normalisation && normalisation !== "none" ? `${normalisation}-normalised` : "",
    provenance.batch_norm ? `batch norm ${provenance.batch_norm}` : "",
    provenance.data ? `data ${provenance.data.slice(0, 8)}` : "",
  ];
  const summary = ({ axes }) => (abreast() ? landscope.abreast.SUMMARY : axes && axes.length > 1 ? `α: ${axes[0]} · β: ${axes[1]}` : "");
  const options = (slice) => ({
    ...(abreast() ? {} : { style: landscope.view.state.style }),
    show: heights.shownOf(slice).key,
  });
  // The slice that a point of the graph is on, with its frame's number; null beside the maps.
  const onto = ({ xaxis }, slice) => {
    if (abreast()) return landscope.abreast.onAxis(xaxis?._id);
    const { seq } = landscope.panels.all.get("landscape").shown;
    return xaxis?._id === "x" ? { seq, slice } : null;
  };
  const clicked = (point, slice, event) => landscope.place.clicked(point, onto(point, slice), event);
  // Other measurements that are drawn with the one of frameName().
  const beside = () => (abreast() ? landscope.abreast.names().slice(1) : []);
  // The panel's measurement whose Python would measure it anew.
  const like = ({ plane }) => `slice/${plane}`;
  const slices = (slice) => (abreast() ? landscope.abreast.slices() : [slice]);
  return {
    frameName,
    beside,
    slices,
    like,
    unitOf,
    viewOf,
    draw,
    readout,
    details,
    summary,
    options,
    clicked,
    chosenBy: ["at", "asked"],
  };
})();
