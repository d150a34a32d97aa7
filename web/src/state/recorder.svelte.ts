// Records a voice note. The microphone is on only between begin and end.

const types = ['audio/webm;codecs=opus', 'audio/ogg;codecs=opus', 'audio/mp4'];
const longest = 15 * 60_000; // ms

export class Recorder {
  on = $state(false);
  length = $state(0); // ms
  #media: MediaRecorder | null = null;
  #parts: Blob[] = [];
  #began = 0;
  #tick = 0;

  static get possible(): boolean {
    return 'MediaRecorder' in globalThis && navigator.mediaDevices !== undefined;
  }

  async begin(): Promise<void> {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    const mimeType = types.find((x) => MediaRecorder.isTypeSupported(x));
    const media = new MediaRecorder(stream, { ...(mimeType && { mimeType }), audioBitsPerSecond: 32_000 });
    this.#parts = [];
    const parts = this.#parts;
    media.ondataavailable = (e) => parts.push(e.data);
    media.start(1000);
    this.#media = media;
    this.#began = performance.now();
    this.length = 0;
    this.on = true;
    this.#tick = window.setInterval(() => {
      this.length = performance.now() - this.#began;
      if (this.length > longest) media.pause();
    }, 200);
  }

  /** Ends and gives the note with its length in ms. */
  async end(): Promise<{ file: File; length: number }> {
    const media = this.#media!;
    const parts = this.#parts;
    const length = Math.min(longest, Math.round(performance.now() - this.#began));
    // A microphone that was taken away has stopped it already.
    if (media.state !== 'inactive')
      await new Promise<void>((resolve) => {
        media.onstop = () => resolve();
        media.stop();
      });
    this.#release();
    const type = media.mimeType.split(';')[0] || 'audio/webm';
    const name = `voice.${type.split('/')[1] ?? 'webm'}`;
    return { file: new File(parts, name, { type }), length: Math.max(1, length) };
  }

  /** Ends and keeps nothing. */
  drop(): void {
    if (this.#media && this.#media.state !== 'inactive') this.#media.stop();
    this.#release();
    this.#parts = [];
  }

  #release(): void {
    clearInterval(this.#tick);
    for (const track of this.#media?.stream.getTracks() ?? []) track.stop();
    this.#media = null;
    this.on = false;
  }
}
