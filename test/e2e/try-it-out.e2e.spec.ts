import type { Browser, Page } from 'playwright-core';
import { describeInBrowser, startBrowser } from '../support/browser';
import { Client } from '../support/client';
import { type ApiDocument, operationsIn } from '../support/openapi';
import { type Service, startService } from '../support/service';
import { SwaggerDriver } from '../support/swagger-driver';
import { HttpDriver, NEED_MORE, sampleOf, walk } from '../support/try-it-out';

let service: Service;
let client: Client;
let document: ApiDocument;

async function start(): Promise<void> {
  service = await startService({ env: { TRASH_DAYS: '30' } });
  client = new Client(service.url);
  document = (await client.get('/openapi.json')).json as ApiDocument;
}

const callable = (): string[] =>
  operationsIn(document)
    .map(({ operationId }) => operationId)
    .filter((id) => !Object.hasOwn(NEED_MORE, id))
    .sort();

describe('The values that the OpenAPI document fills in', () => {
  beforeAll(start, 300_000);
  afterAll(() => service.dispose());

  it('are sent for required parameters alone', () => {
    const filled = operationsIn(document).flatMap(({ operationId, parameters = [] }) =>
      parameters
        .filter((each) => each.required !== true && sampleOf(each) !== undefined)
        .map(({ name }) => `${operationId} ${name}`),
    );
    expect(filled).toEqual([]);
  });

  it('make each route succeed that a person can call without bringing more', async () => {
    const called = await walk(document, new HttpDriver(client), client);
    expect([...called].sort()).toEqual(callable());
  }, 300_000);
});

describeInBrowser('"Try it out" of Swagger UI', () => {
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    await start();
    browser = await startBrowser();
    page = await browser.newPage({ viewport: { width: 1400, height: 1000 } });
  }, 300_000);
  afterAll(async () => {
    await browser.close();
    await service.dispose();
  });

  it('succeeds with what it fills in, for each route that a person can call without bringing more', async () => {
    const faults: string[] = [];
    page.on('pageerror', (error) => faults.push(error.message));
    await page.goto(`${service.url}/docs`);
    const called = await walk(document, new SwaggerDriver(page), client);
    expect([...called].sort()).toEqual(callable());
    expect(faults).toEqual([]);
  }, 900_000);

  it('shows the login first', async () => {
    await page.goto(`${service.url}/docs`);
    const first = page.locator('.opblock-tag').first();
    expect(await first.getAttribute('data-tag')).toBe('Login');
  }, 300_000);
});
