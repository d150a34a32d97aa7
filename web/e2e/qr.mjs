// QR codes as a camera has them: read from what a page drew, and shown to a page as
// the picture of Chromium's made-up camera.
import { writeFileSync } from 'node:fs';
import jsQR from 'jsqr';
import { encode } from 'uqr';

/** The text of the code an element shows, read from its pixels. */
export async function readCode(page, element) {
  const png = (await element.screenshot({ scale: 'css' })).toString('base64');
  const paper = await page.context().newPage(); // without the page's content policy
  const { data, width, height } = await paper.evaluate(async (png) => {
    const picture = await createImageBitmap(await (await fetch('data:image/png;base64,' + png)).blob());
    const c = new OffscreenCanvas(picture.width, picture.height).getContext('2d');
    c.drawImage(picture, 0, 0);
    const { data, width, height } = c.getImageData(0, 0, picture.width, picture.height);
    return { data: [...data], width, height };
  }, png);
  await paper.close();
  return jsQR(Uint8ClampedArray.from(data), width, height)?.data ?? '';
}

/** What a camera sees that is held before the code of a text: a file of YUV4MPEG2. */
export function film(path, text) {
  const { data, size } = encode(text, { ecc: 'M', border: 4 });
  const [width, height] = [640, 480];
  const scale = Math.floor(height / size);
  const [left, top] = [(width - size * scale) >> 1, (height - size * scale) >> 1];
  const grey = Buffer.alloc(width * height, 200);
  for (let y = 0; y < size * scale; y++)
    for (let x = 0; x < size * scale; x++)
      grey[(top + y) * width + left + x] = data[Math.floor(y / scale)][Math.floor(x / scale)] ? 16 : 235;
  const frame = Buffer.concat([
    Buffer.from('FRAME\n'),
    grey,
    Buffer.alloc((width * height) / 2, 128), // no colour
  ]);
  const head = Buffer.from(`YUV4MPEG2 W${width} H${height} F10:1 Ip A1:1 C420\n`);
  writeFileSync(path, Buffer.concat([head, frame, frame]));
}
