// Ranges, ticks and decimation.
landscope.axes = (() => {
  const MOST_POINTS = 2000;

  // Round losses between two positive limits: decades, or 1-2-5 within them where there are few.
  const logTicks = (low, high, most = 7) => {
    if (high < 3 * low) return linearTicks(low, high, most);
    const first = Math.floor(Math.log10(low)),
      last = Math.ceil(Math.log10(high));
    let ticks = [];
    for (const leads of [[1, 1.5, 2, 3, 5, 7], [1, 2, 5], [1, 3], [1]]) {
      ticks = [];
      for (let power = first; power <= last; power += 1) leads.forEach((lead) => ticks.push(lead * 10 ** power));
      ticks = ticks.filter((tick) => tick >= low && tick <= high);
      if (ticks.length <= most) return ticks;
    }
    const stride = Math.ceil(ticks.length / most);
    return ticks.filter((_, index) => index % stride === 0);
  };
  const linearTicks = (low, high, most) => {
    const raw = (high - low) / most,
      power = 10 ** Math.floor(Math.log10(raw));
    const step = power * [1, 2, 5, 10].find((lead) => lead * power >= raw);
    const ticks = [];
    for (let tick = Math.ceil(low / step - 1e-9) * step; tick <= high * (1 + 1e-12); tick += step)
      ticks.push(Number(tick.toPrecision(12)));
    return ticks;
  };
  // Zero and powers of ten of either sign, none closer to zero than `scale`.
  const signedTicks = (low, high, scale, most = 7) => {
    const ticks = low <= 0 && high >= 0 ? [0] : [];
    const first = Math.ceil(Math.log10(scale) - 1e-9),
      last = Math.floor(Math.log10(Math.max(-low, high)) + 1e-9);
    const sides = low < -scale ? 2 : 1;
    const stride = Math.max(1, Math.ceil(((last - first + 1) * sides) / most));
    for (let power = last; power >= first; power -= stride) {
      [10 ** power, -(10 ** power)].forEach((tick) => {
        if (tick >= low && tick <= high) ticks.push(tick);
      });
    }
    return ticks.sort((a, b) => a - b);
  };
  // Ticks whose labels would touch are left out; the ones further from the middle stay.
  const apart = (ticks, place, gap) => {
    const kept = [];
    [...ticks]
      .sort((a, b) => Math.abs(b) - Math.abs(a))
      .forEach((tick) => {
        if (kept.every((other) => Math.abs(place(other) - place(tick)) >= gap)) kept.push(tick);
      });
    if (ticks.includes(0) && !kept.includes(0))
      return [0, ...kept.filter((tick) => Math.abs(place(tick)) >= gap)].sort((a, b) => a - b);
    return kept.sort((a, b) => a - b);
  };
  // The lowest and highest value of every bin of the axis, in their order: extremes survive, and so does each gap.
  const decimate = (steps, values, logarithmic) => {
    const from = logarithmic ? landscope.lastAtOrBelow(steps, 0) + 1 : 0;
    const count = steps.length - from;
    if (count <= MOST_POINTS) return from ? { x: steps.slice(from), y: values.slice(from) } : { x: steps, y: values };
    const place = logarithmic ? Math.log : (step) => step;
    const start = place(steps[from]),
      width = (place(steps[steps.length - 1]) - start) / (MOST_POINTS / 2) || 1;
    const x = [],
      y = [];
    let index = from;
    while (index < steps.length) {
      const bin = Math.floor((place(steps[index]) - start) / width);
      let lowest = index,
        highest = index;
      for (; index < steps.length && Math.floor((place(steps[index]) - start) / width) === bin; index += 1) {
        if (values[index] === null) continue;
        if (values[lowest] === null || values[index] < values[lowest]) lowest = index;
        if (values[highest] === null || values[index] > values[highest]) highest = index;
      }
      [Math.min(lowest, highest), Math.max(lowest, highest)].forEach((kept, second) => {
        if (!second || lowest !== highest) {
          x.push(steps[kept]);
          y.push(values[kept]);
        }
      });
    }
    return { x, y };
  };
  // [low, high] as an axis takes it, with room at both ends.
  const padded = (low, high, logarithmic, room = 0.05) => {
    if (!logarithmic && low === 0 && high === 0) return [-0.05, 1];
    const [a, b] = logarithmic ? [Math.log10(low), Math.log10(high)] : [low, high];
    const margin = b - a > 0 ? room * (b - a) : logarithmic ? 0.3 : Math.abs(a) * 0.1;
    return [a - margin, b + margin];
  };
  // While a training runs, the end of the step axis moves in jumps of some five per cent, the same for all panels.
  const stepsEnd = () => {
    const last = Math.max(landscope.run.lastStep(), 10),
      { head } = landscope.run.data;
    if (!head || head.status !== "running") return last;
    const jump = Math.max(10 ** Math.floor(Math.log10(last)) / 2, 10 ** Math.floor(Math.log10(last / 2))) / 5;
    const end = Math.ceil((1.001 * last) / jump) * jump;
    return head.total && head.total >= last ? Math.min(end, head.total) : end;
  };
  const steps = (logarithmic) => {
    const end = stepsEnd();
    return logarithmic ? [0, Math.log10(Math.max(end, 2))] : [0, end];
  };
  return { logTicks, signedTicks, apart, decimate, padded, steps, stepsEnd };
})();
