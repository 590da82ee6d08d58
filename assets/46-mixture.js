// The losses of single examples in bins, each divided between the two groups of the mixture.
landscope.drawers.mixture = (() => {
  const { format } = landscope;
  const BINS = 40;

  const counted = ({ values, noisy }) => {
    const first = new Array(BINS).fill(0),
      second = new Array(BINS).fill(0);
    values.data.forEach((value, index) => {
      const bin = Math.min(Math.floor(BINS * value), BINS - 1);
      first[bin] += 1 - noisy.data[index];
      second[bin] += noisy.data[index];
    });
    return { first, second };
  };
  const draw = (view, graph, base, look, zoom, mixture) => {
    const { first, second } = counted(mixture),
      { scale, shift } = mixture;
    const x = first.map((_, bin) => shift + (scale * (bin + 0.5)) / BINS);
    const most = Math.max(...first.map((count, bin) => count + second[bin]));
    const layout = { ...base, template: look.template, barmode: "stack", bargap: 0.04 };
    layout.xaxis = { ...base.xaxis, autorange: false, range: zoom.xaxis || [shift, shift + scale], nticks: 6 };
    layout.yaxis = { ...base.yaxis, autorange: false, range: zoom.yaxis || [0, 1.06 * most], nticks: 5 };
    const bar = { type: "bar", x, hovertemplate: "about %{x:.3g}<br>%{y:.1f} examples<extra>%{fullData.name}</extra>" };
    return landscope.graphs.draw(
      graph,
      [
        { ...bar, y: first, name: "smaller losses", marker: { color: look.colours.first } },
        { ...bar, y: second, name: "larger losses", marker: { color: look.colours.second, pattern: { shape: "/" } } },
      ],
      layout,
    );
  };
  const readout = ({ shares, share_error: error, noisy, gain }, { colours }) => {
    const sure = noisy.data.reduce((sum, one) => sum + Math.abs(2 * one - 1), 0) / noisy.data.length;
    const spread = Number.isFinite(error) ? ` ± ${format.share(error)}` : "";
    return [
      { swatch: colours.first, label: "smaller losses", value: format.share(shares.data[0]) },
      { swatch: colours.second, label: "larger ╱", value: format.share(shares.data[1]) + spread },
      { label: "separation", value: format.number(sure, 2) },
      { label: "gain", value: format.number(gain, 2) },
    ];
  };
  const details = ({ family, iterations }) => [`${family}, ${iterations} iterations`];
  return { draw, readout, details };
})();
