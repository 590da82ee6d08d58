// A line at the shown step in every panel over steps: an element above the graph, so that moving it redraws nothing.
landscope.cursor = (() => {
  const place = ({ view, graph, cursor, cover }) => {
    const axis = graph._fullLayout?.xaxis,
      size = graph._fullLayout?._size;
    if (!view.overSteps || !axis || !size || !cover.hidden) {
      cursor.hidden = true;
      return;
    }
    const step = landscope.run.shownStep();
    const across = axis.d2p(axis.type === "log" ? Math.max(step, 1) : step);
    cursor.hidden = !(across >= -1 && across <= axis._length + 1);
    if (cursor.hidden) return;
    cursor.style.transform = `translateX(${(axis._offset + across).toFixed(1)}px)`;
    cursor.style.top = `${size.t}px`;
    cursor.style.height = `${size.h}px`;
  };
  return { place };
})();
