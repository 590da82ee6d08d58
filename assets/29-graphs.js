// Plotly's graphs. One begins with its first picture: an empty one would take as long to draw, and be thrown away.
landscope.graphs = (() => {
  const waiting = new WeakMap(); // graph -> [event, listener] of those that nothing was drawn in yet

  const draw = (graph, data, layout) => {
    if (graph.on) return Plotly.react(graph, data, layout);
    const drawn = Plotly.newPlot(graph, data, layout, landscope.graphConfig);
    (waiting.get(graph) || []).forEach(([event, listener]) => graph.on(event, listener));
    waiting.delete(graph);
    return drawn;
  };
  const listen = (graph, event, listener) => {
    if (graph.on) graph.on(event, listener);
    else waiting.set(graph, [...(waiting.get(graph) || []), [event, listener]]);
  };
  return { draw, listen };
})();
