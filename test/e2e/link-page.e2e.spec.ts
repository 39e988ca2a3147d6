import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
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
  }, 300_000);
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
    // A reload goes on with the same ticket, and spends nothing.
    await page.reload();
    await page.getByRole('heading', { name: 'letter <b>.txt' }).waitFor();
    await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Download' }).click()]);
    // The link is spent: pasted where the page is open, it says so, and offers nothing.
    await page.goto(url);
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByText('was opened as often as it may be').waitFor();
    expect(await page.getByRole('button').count()).toBe(0);
    expect(await page.getByRole('link').count()).toBe(0);
  });

  it('gives each of two tabs its own file', async () => {
    const context = await browser.newContext();
    const tabs = [
      { page: await context.newPage(), name: 'one.txt' },
      { page: await context.newPage(), name: 'two.txt' },
    ];
    for (const tab of tabs) {
      await tab.page.goto(await share(tab.name, `the content of ${tab.name}`, 'text/plain'));
      await tab.page.getByRole('button', { name: 'Open' }).click();
      await tab.page.getByRole('heading', { name: tab.name }).waitFor();
    }
    for (const tab of tabs) {
      const [download] = await Promise.all([
        tab.page.waitForEvent('download'),
        tab.page.getByRole('link', { name: 'Download' }).click(),
      ]);
      expect(await readFile(await download.path(), 'utf8')).toBe(`the content of ${tab.name}`);
    }
    await context.close();
  });

  it('says that the link was ended, where a download is refused', async () => {
    const file = expectStatus(await alice.upload('ended.txt', 'x'), 201) as { id: string };
    const link = expectStatus(await alice.post(`/files/${file.id}/links`, {}), 200) as { id: string; url: string };
    await page.goto(here(link));
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByRole('link', { name: 'Download' }).waitFor();
    expectStatus(await alice.delete(`/files/${file.id}/links/${link.id}`), 204);
    await page.getByRole('link', { name: 'Download' }).click();
    await page.getByText('This link is past its time').waitFor();
    expect(await page.getByRole('link').count()).toBe(0);
  });

  it('works at /l/ with a parameter of others, shows marks of direction as what they are, and wraps', async () => {
    const name = `invoice\u202efdp.exe ${'long'.repeat(50)}`;
    await page.setViewportSize({ width: 360, height: 640 });
    await page.goto((await share(name, 'x', 'text/plain')).replace('/l#', '/l/?fbclid=abc#'));
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByRole('heading', { name: 'invoice\ufffdfdp.exe' }).waitFor();
    expect(await page.locator('body').textContent()).not.toContain('\u202e');
    expect(await overflow(page)).toBe(0);
    await picture(page, 'long-name');
    await page.reload();
    await page.getByRole('heading', { name: 'invoice\ufffdfdp.exe' }).waitFor();
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
    expect(seen.filter((address) => /\/links\/content\/[0-9a-f-]{36}$/.test(address)).length).toBeGreaterThan(0);
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

  it('of a drop box tells a name that is too long from a passing fault, and goes on after a reload', async () => {
    const link = expectStatus(await alice.post('/upload-links', { max_size: 10 }), 200) as { url: string };
    const upload = (name: string, size: number) =>
      page.locator('#chosen').setInputFiles({ name, mimeType: 'text/plain', buffer: Buffer.alloc(size) });
    await page.setViewportSize({ width: 360, height: 640 });
    await page.goto(here(link));
    await page.getByRole('button', { name: 'Open' }).click();
    await page.locator('#drop').waitFor();
    await page.reload();
    await page.locator('#drop').waitFor();
    await upload('ü'.repeat(200), 1);
    await page.getByText('The name of the file must have at most 255 bytes').waitFor();
    await upload('large.txt', 11);
    await page.getByText('larger than this box takes').waitFor();
    await upload(`n${'a'.repeat(200)}\u202etxt`, 10);
    await page.getByText(/Sent: na+\ufffdtxt, 10 bytes. SHA-256 [0-9a-f]{64}/).waitFor();
    expect(await overflow(page)).toBe(0);
    await picture(page, 'sent');
    await page.reload();
    await page.getByRole('heading', { name: 'The file was sent' }).waitFor();
  });

  it('says so where part of the link is missing', async () => {
    await page.goto(`${service.url}/l#d.half`);
    await page.getByRole('heading', { name: 'This link is not complete' }).waitFor();
  });
});

/** How many pixels the page is wider than its window. */
const overflow = (page: Page): Promise<number> =>
  page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');

/** Into COFFER_SCREENSHOTS, for somebody who wants to look. */
async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env['COFFER_SCREENSHOTS'];
  if (folder !== undefined) await page.screenshot({ path: join(folder, `${name}.png`) });
}

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
