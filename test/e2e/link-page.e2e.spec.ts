import type { Browser, Page } from 'playwright-core';
import { signUp } from '../support/accounts';
import { describeInBrowser, startBrowser } from '../support/browser';
import { Client, expectStatus } from '../support/client';
import { type Service, startService } from '../support/service';

describeInBrowser('The page of a link, in a browser,', () => {
  let service: Service;
  let browser: Browser;
  let page: Page;
  let alice: Client;
  const seen: string[] = [];

  beforeAll(async () => {
    service = await startService({});
    alice = (await signUp(new Client(service.url))).client;
    browser = await startBrowser();
  }, 60_000);
  afterAll(async () => {
    await browser.close();
    await service.dispose();
  });
  beforeEach(async () => {
    seen.length = 0;
    page = await browser.newPage();
    page.on('request', (request) => seen.push(request.url()));
  });
  afterEach(() => page.close());

  /** At the port that the test's service has, whatever PUBLIC_URL says. */
  const here = ({ url }: { url: string }): string => `${service.url}/l${new URL(url).hash}`;

  async function share(name: string, content: Buffer | string, contentType: string, limits = {}): Promise<string> {
    const file = expectStatus(await alice.upload(name, content, { contentType }), 201) as { id: string };
    return here(expectStatus(await alice.post(`/files/${file.id}/links`, limits), 200) as { url: string });
  }

  it('asks before it spends a download, and sends the secret in no URL', async () => {
    const url = await share('letter <b>.txt', 'Dear reader', 'text/plain', { max_downloads: 1 });
    await page.goto(url);
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByRole('heading', { name: 'letter <b>.txt' }).waitFor();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'Download' }).click(),
    ]);
    expect(download.suggestedFilename()).toMatch(/^letter .b.\.txt$/);
    const secret = new URL(url).hash.split('.').at(-1)!;
    expect(seen.filter((address) => new URL(address).href.replace(/#.*/, '').includes(secret))).toEqual([]);
    expect(page.url()).not.toContain(secret);
    await page.goto(url);
    await page.reload();
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByText('was opened as often as it may be').waitFor();
  });

  it('asks for the password where there is one', async () => {
    await page.goto(await share('locked.txt', 'x', 'text/plain', { password: 'open sesame' }));
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByText('This link has a password.').waitFor();
    await page.getByLabel('Password').fill('wrong');
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByText('That was not the password.').waitFor();
    await page.getByLabel('Password').fill('open sesame');
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByRole('heading', { name: 'locked.txt' }).waitFor();
  });

  it('plays a film by the cookie alone, and jumps about in it', async () => {
    const film = await recordedFilm(page);
    await page.goto(await share('film.webm', film, 'video/webm'));
    await page.getByRole('button', { name: 'Open' }).click();
    const video = page.locator('video');
    await video.waitFor();
    await video.evaluate(
      (element) =>
        new Promise<void>((resolve, reject) => {
          const media = element as unknown as { readyState: number; play(): void } & EventTarget;
          if (media.readyState >= 2) resolve();
          media.addEventListener('loadeddata', () => resolve());
          media.addEventListener('error', () => reject(new Error('the film does not play')));
          media.play();
        }),
    );
    expect(seen.filter((address) => address.endsWith('/links/content')).length).toBeGreaterThan(0);
  });

  it('sends a file into a drop box, and says what arrived', async () => {
    const link = expectStatus(await alice.post('/upload-links', { max_size: 1_000 }), 200) as { url: string };
    await page.goto(here(link));
    await page.getByRole('button', { name: 'Open' }).click();
    const chosen = { name: 'from outside.txt', mimeType: 'text/plain', buffer: Buffer.from('a letter') };
    // Before it is offered nobody listens to it.
    await page.locator('#drop').waitFor();
    await page.locator('#chosen').setInputFiles(chosen);
    await page.getByText('Sent: from outside.txt, 8 bytes.').waitFor();
    expect((await alice.get('/files/by-name/from%20outside.txt/content')).text).toBe('a letter');
  });

  it('says so where part of the link is missing', async () => {
    await page.goto(`${service.url}/l#d.half`);
    await page.getByRole('heading', { name: 'This link is not complete' }).waitFor();
  });
});

/** A second of film that the browser itself makes: there is no film in this repository. */
async function recordedFilm(page: Page): Promise<Buffer> {
  const base64 = await page.evaluate(`new Promise((resolve) => {
    const canvas = document.createElement('canvas');
    const context = canvas.getContext('2d');
    const recorder = new MediaRecorder(canvas.captureStream(10), { mimeType: 'video/webm' });
    const chunks = [];
    const drawing = setInterval(() => { context.fillStyle = '#' + Math.random().toString(16).slice(2, 8); context.fillRect(0, 0, 300, 150); }, 50);
    recorder.ondataavailable = (event) => chunks.push(event.data);
    recorder.onstop = async () => {
      clearInterval(drawing);
      const bytes = new Uint8Array(await new Blob(chunks).arrayBuffer());
      resolve(btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join('')));
    };
    recorder.start();
    setTimeout(() => recorder.stop(), 1000);
  })`);
  return Buffer.from(base64 as string, 'base64');
}
