// Frames never change, so they are fetched once and kept until memory for them is used up.
landscope.frames = (() => {
  const ROOM_BYTES = 96 * 2 ** 20;
  const AHEAD = 6;
  const kept = new Map(); // "run/seq" -> measurement, least recently used first
  const underway = new Map();
  let used = 0;
  const key = (seq) => `${landscope.run.data.id}/${seq}`;

  const get = (seq) => {
    const found = kept.get(key(seq));
    if (found) {
      kept.delete(key(seq));
      kept.set(key(seq), found);
    }
    return found;
  };
  const put = (name, measurement) => {
    kept.set(name, measurement);
    used += measurement.bytes;
    for (const [oldest, { bytes }] of kept) {
      if (used <= ROOM_BYTES || oldest === name) break;
      kept.delete(oldest);
      used -= bytes;
    }
  };
  const load = (seq) => {
    const name = key(seq);
    if (kept.has(name)) return Promise.resolve(kept.get(name));
    if (!underway.has(name)) {
      const coming = landscope.api
        .frame(landscope.run.data.id, seq)
        .then((buffer) => {
          const found = landscope.decodeMeasurement(buffer);
          put(name, found);
          return found;
        })
        .finally(() => underway.delete(name));
      underway.set(name, coming);
    }
    return underway.get(name);
  };
  // Per name one request for showing at a time: when it lands, only the newest wish counts.
  const wishes = new Map();
  const want = (name, seq, ready) => {
    const wish = wishes.get(name) || { busy: false };
    wish.seq = seq;
    wishes.set(name, wish);
    if (wish.busy) return;
    wish.busy = true;
    load(seq)
      .then(() => {
        wish.busy = false;
        if (wishes.get(name) !== wish) return; // of another run
        if (wish.seq !== seq) want(name, wish.seq, ready);
        ready();
      })
      .catch((error) => {
        wish.busy = false;
        if (error.status === 404) {
          landscope.run.forget(name, seq);
          ready();
        } else console.warn(`frame ${seq} of ${name} could not be read: ${error.message}`);
      });
  };
  const prefetch = (name, from) => {
    if (underway.size > 2) return;
    const frames = landscope.run.data.frames.get(name);
    for (let index = from; frames && index < Math.min(from + AHEAD, frames.seq.length); index += 1) {
      const superseded = frames.step[index + 1] === frames.step[index]; // by the next stage of the same picture
      if (!superseded && !kept.has(key(frames.seq[index]))) {
        load(frames.seq[index]).catch(() => {});
        return;
      }
    }
  };
  const clear = () => {
    wishes.clear();
    kept.clear();
    used = 0;
  };
  landscope.on("run", clear);
  return { get, load, want, prefetch };
})();
