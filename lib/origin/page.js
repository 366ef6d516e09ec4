// Plays the room's fragmented MP4 through Media Source Extensions: fetch gives
// bytes as they come, the source buffer takes them in whole boxes.
'use strict';

const video = document.getElementById('video');
const statusLine = document.getElementById('status');
const room = video.dataset.room;

const keepBehind = 30;  // seconds kept for seeking back
const startBehind = 0.3; // seconds of buffer behind the live edge to start with
const farBehind = 6;    // seconds behind the edge that make the player jump

function say(text) {
  statusLine.textContent = text;
  document.documentElement.dataset.state = text;
}

async function main() {
  for (;;) {
    const play = await describe();
    if (!play) return;
    await playOnce(play);
    if ((await ask()).ended) { say('ended'); return; }
    say('reconnecting');
    await pause(1000);
  }
}

const pause = ms => new Promise(done => setTimeout(done, ms));

async function ask() {
  const answer = await fetch(`/play/${room}.json`, { cache: 'no-store' });
  if (!answer.ok) throw new Error(`the room answers ${answer.status}`);
  return answer.json();
}

// describe waits until the room says how it is coded.
async function describe() {
  for (;;) {
    const play = await ask();
    if (play.container !== 'mp4') {
      say(`this page plays fragmented MP4; open ${location.origin}${play.url} in a player`);
      return null;
    }
    if (play.mime) {
      if (MediaSource.isTypeSupported(play.mime)) return play;
      say(`this browser cannot play ${play.mime}`);
      return null;
    }
    say('waiting for the stream');
    await pause(500);
  }
}

async function playOnce(play) {
  const source = new MediaSource();
  video.src = URL.createObjectURL(source);
  await once(source, 'sourceopen');
  const buffer = source.addSourceBuffer(play.mime);
  const stop = new AbortController();
  try {
    const answer = await fetch(play.url, { cache: 'no-store', signal: stop.signal });
    if (!answer.ok) throw new Error(`the stream answers ${answer.status}`);
    await feed(answer.body.getReader(), buffer);
    if (source.readyState === 'open') source.endOfStream();
    await drained();
  } catch (err) {
    say(video.error ? `media error: ${video.error.message}` : `broken off: ${err.message}`);
  } finally {
    stop.abort();
  }
}

// feed appends whole boxes; a box that is not whole waits for its rest.
async function feed(reader, buffer) {
  let rest = new Uint8Array(0);
  let inits = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest = join(rest, value);
    const parts = [];
    let end = 0;
    for (let at = 0; ;) {
      const box = boxAt(rest, at);
      if (!box || at + box.size > rest.length) break;
      if (box.type === 'ftyp' || box.type === 'moov') {
        // Every later init begins a new timeline: it goes behind the old one.
        if (box.type === 'moov' && inits++ > 0) {
          if (end > 0) parts.push(rest.slice(0, end));
          for (const part of parts.splice(0)) await append(buffer, part);
          rest = rest.slice(end); at -= end; end = 0;
          buffer.mode = 'sequence';
        }
      }
      at += box.size;
      end = at;
    }
    if (end === 0) continue;
    parts.push(rest.slice(0, end));
    rest = rest.slice(end);
    for (const part of parts) await append(buffer, part);
    follow(buffer);
  }
}

function join(a, b) {
  if (a.length === 0) return b;
  const c = new Uint8Array(a.length + b.length);
  c.set(a);
  c.set(b, a.length);
  return c;
}

// boxAt reads a box header (ISO 14496-12 §4.2).
function boxAt(bytes, at) {
  if (bytes.length - at < 16) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at);
  let size = view.getUint32(0);
  const type = String.fromCharCode(bytes[at + 4], bytes[at + 5], bytes[at + 6], bytes[at + 7]);
  if (size === 1) size = Number(view.getBigUint64(8));
  if (size < 8) throw new Error(`a box of ${size} bytes`);
  return { size, type };
}

async function append(buffer, bytes) {
  for (;;) {
    try {
      buffer.appendBuffer(bytes);
    } catch (err) {
      if (err.name !== 'QuotaExceededError' || !await trim(buffer, 5)) throw err;
      continue;
    }
    await once(buffer, 'updateend');
    return;
  }
}

// trim drops what was played more than keep seconds ago.
async function trim(buffer, keep) {
  if (!buffer.buffered.length) return false;
  const from = buffer.buffered.start(0), to = video.currentTime - keep;
  if (to <= from) return false;
  buffer.remove(from, to);
  await once(buffer, 'updateend');
  return true;
}

// follow keeps the player in what is buffered and near its end.
function follow(buffer) {
  const b = buffer.buffered;
  if (!b.length) return;
  const start = b.start(b.length - 1), end = b.end(b.length - 1);
  const t = video.currentTime;
  if (t < start || (t > end && !video.seeking)) {
    video.currentTime = Math.max(start, Math.min(start + 0.001, end - startBehind));
  } else if (end - t > farBehind && !video.paused) {
    video.currentTime = end - startBehind;
  }
  if (video.paused && !video.dataset.touched) video.play().catch(() => {});
  say('playing');
  if (t - b.start(0) > 2 * keepBehind) trim(buffer, keepBehind);
}

// drained resolves when everything that was appended has been played.
function drained() {
  if (video.ended) return Promise.resolve();
  return once(video, 'ended');
}

function once(target, name) {
  return new Promise((resolve, reject) => {
    target.addEventListener(name, resolve, { once: true });
    target.addEventListener('error', () => reject(new Error('media error')), { once: true });
  });
}

video.addEventListener('error', () => say(`media error: ${video.error.message}`));
video.addEventListener('pause', () => { if (!video.ended && !video.seeking) video.dataset.touched = 'yes'; });
video.addEventListener('play', () => { delete video.dataset.touched; });

main().catch(err => say(`failed: ${err.message}`));
