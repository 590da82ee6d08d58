// The namespace's few general helpers: events between scripts, and elements.
window.landscope = window.landscope || {};
window.dash_clientside = window.dash_clientside || {};

// What draws a view that is not of lines, by the name that panels.py gives it: a script each. A drawer has
//   draw(view, graph, base, look, zoom, measurement), which returns plotly's promise; `base` is the view's empty layout,
//   readout(measurement, look), the legend with values, as captions.legend takes it,
//   details(measurement), what its provenance says beside the usual, and where they are of use
//   options(measurement), what its figure in Python takes, selection(measurement), which examples are selected,
//   frameName(), which of the view's measurements is shown, summary(measurement), in place of the view's own,
//   table(measurement), shown above the graph, as tables.show takes it, stepAt(point), the step of a clicked point,
//   beside(), the names of what is drawn with it, like(measurement), which of the view's measurements it is anew,
//   clicked(point, measurement, event), what a click does, and chosenBy, the choices in the address that it is drawn anew for.
landscope.drawers = {};

(() => {
  const listeners = new Map();
  landscope.on = (event, listener) => {
    if (!listeners.has(event)) listeners.set(event, []);
    listeners.get(event).push(listener);
  };
  landscope.emit = (event, detail) => (listeners.get(event) || []).forEach((listener) => listener(detail));

  landscope.find = (selector) => document.querySelector(selector);

  // An element with text; never markup, as names and messages of runs are anybody's.
  landscope.element = (tag, { text, className, ...attributes } = {}, children = []) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
    made.append(...children);
    return made;
  };
  landscope.setText = (element, text) => {
    if (element && element.textContent !== text) element.textContent = text;
  };
  // A small button in the head or at the foot of a panel; 53-keyboard.js carries out its action.
  landscope.quietButton = (picture, action, label) => {
    const icon = landscope.element("span", { className: `icon icon-${picture}`, "aria-hidden": "true" });
    const made = landscope.element("button", { type: "button", className: "button quiet", title: label }, [icon]);
    made.dataset.action = action;
    made.setAttribute("aria-label", label);
    return made;
  };
  // Index of the last entry of an ascending array that is not above `value`; -1 where there is none.
  landscope.lastAtOrBelow = (ascending, value) => {
    let low = 0,
      high = ascending.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ascending[middle] <= value) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  };
})();
