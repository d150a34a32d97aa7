// Reads a QR code from a picture of the camera: by the browser where it can, else
// by code of ours that is loaded only then.

interface Detector {
  detect(source: CanvasImageSource): Promise<{ rawValue: string }[]>;
}
type Detectors = {
  new (o: { formats: string[] }): Detector;
  getSupportedFormats(): Promise<string[]>;
};

let detector: Promise<Detector | null> | undefined;

async function native(): Promise<Detector | null> {
  const D = (globalThis as { BarcodeDetector?: Detectors }).BarcodeDetector;
  const none: string[] = [];
  if (!D || !(await D.getSupportedFormats().catch(() => none)).includes('qr_code')) return null;
  return new D({ formats: ['qr_code'] });
}

const side = 640; // px: enough for the codes we make, quick to look through

/** The text of a code in view, '' if there is none. */
export async function readFrame(video: HTMLVideoElement): Promise<string> {
  if (video.videoWidth === 0) return '';
  const d = await (detector ??= native());
  if (d) return (await d.detect(video).catch(() => []))[0]?.rawValue ?? '';
  const scale = Math.min(1, side / Math.max(video.videoWidth, video.videoHeight));
  const canvas = document.createElement('canvas');
  canvas.width = Math.round(video.videoWidth * scale);
  canvas.height = Math.round(video.videoHeight * scale);
  const paper = canvas.getContext('2d', { willReadFrequently: true });
  if (!paper) return '';
  paper.drawImage(video, 0, 0, canvas.width, canvas.height);
  const { data, width, height } = paper.getImageData(0, 0, canvas.width, canvas.height);
  const { default: jsQR } = await import('jsqr');
  return jsQR(data, width, height)?.data ?? '';
}
