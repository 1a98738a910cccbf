// Test pictures as sinchphone/picture/bar_code.py draws and reads them, for wrtc's cameras and screens.

'use strict';

const COLUMNS = 16, ROWS = 3, SHARE = 0.375, WIDTH = 320, HEIGHT = 180;

function check(said) {
  let remainder = 0xffff;
  for (let place = 31; place >= 0; place--) {
    const top = ((remainder >> 15) ^ (said >>> place)) & 1;
    remainder = ((remainder << 1) & 0xffff) ^ (top ? 0x1021 : 0);
  }
  return remainder;
}

/** A camera that shows test pictures of that source. */
class Camera {
  constructor(wrtc, source) {
    this.video = new wrtc.nonstandard.RTCVideoSource();
    let number = 0;
    setInterval(() => this.video.onFrame({ width: WIDTH, height: HEIGHT, data: Camera.draw(source, number++) }), 66);
  }

  static draw(source, number) {
    const data = new Uint8ClampedArray((WIDTH * HEIGHT * 3) / 2).fill(128);
    for (let y = 0; y < HEIGHT; y++) for (let x = 0; x < WIDTH; x++) data[y * WIDTH + x] = 16 + ((x + y + 5 * number) % 220);
    const said = ((source << 24) | number) >>> 0;
    const bits = said.toString(2).padStart(32, '0') + check(said).toString(2).padStart(16, '0');
    const high = Math.round((SHARE * HEIGHT) / ROWS), wide = WIDTH / COLUMNS;
    [...bits].forEach((bit, index) => {
      const top = Math.floor(index / COLUMNS) * high, left = (index % COLUMNS) * wide;
      for (let y = top; y < top + high; y++) data.fill(bit === '1' ? 235 : 20, y * WIDTH + left, y * WIDTH + left + wide);
    });
    return data;
  }
}

/** What a call's stream shows: the numbers of the test pictures, by their source. */
class Eye {
  constructor(wrtc, track) {
    this.seen = {};
    this.frames = 0;
    this.sink = new wrtc.nonstandard.RTCVideoSink(track);
    this.sink.onframe = ({ frame }) => this.look(frame);
  }

  look({ width, height, data }) {
    this.frames++;
    let bits = '';
    for (let index = 0; index < COLUMNS * ROWS; index++) {
      const x = Math.floor(((index % COLUMNS) + 0.5) * (width / COLUMNS));
      const y = Math.floor((Math.floor(index / COLUMNS) + 0.5) * ((SHARE * height) / ROWS));
      bits += data[y * width + x] > 128 ? '1' : '0';
    }
    const said = parseInt(bits.slice(0, 32), 2);
    if (parseInt(bits.slice(32), 2) !== check(said)) return;
    const source = said >>> 24;
    (this.seen[source] = this.seen[source] || new Set()).add(said & 0xffffff);
  }
}

module.exports = { Camera, Eye };
