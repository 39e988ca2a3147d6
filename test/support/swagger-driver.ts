import type { Page } from 'playwright-core';
import type { NamedOperation } from './openapi';
import { CONTENT, type Driver, jsonOf, type Outcome } from './try-it-out';

/**
 * A person at Swagger UI: opens a route, presses "Try it out", gives path parameters and files, and
 * presses "Execute".
 */
export class SwaggerDriver implements Driver {
  constructor(private readonly page: Page) {}

  async authorize(token: string): Promise<void> {
    const { page } = this;
    await page.locator('.scheme-container button.authorize').click();
    const dialog = page.locator('.auth-container').first();
    const logout = dialog.getByRole('button', { name: 'Remove authorization' });
    if ((await logout.count()) > 0) await logout.click();
    await dialog.locator('input').fill(token);
    await dialog.getByRole('button', { name: 'Apply credentials' }).click();
    await page.locator('.btn-done').first().click();
  }

  async send(operation: NamedOperation, given: Readonly<Record<string, string>>): Promise<Outcome> {
    const { page } = this;
    const block = page.locator(`[id="operations-${operation.tags[0]!.replaceAll(' ', '_')}-${operation.operationId}"]`);
    await block.waitFor();
    await block.locator('.opblock-summary-control').click();
    const start = block.locator('.try-out__btn:not(.cancel)');
    if ((await start.count()) > 0) await start.click();
    for (const [name, value] of Object.entries(given)) {
      await block.locator(`tr[data-param-name="${name}"][data-param-in="path"] input`).fill(value);
    }
    const file = block.locator('input[type=file]');
    if (operation.requestBody?.required === true && (await file.count()) > 0) {
      await file.setInputFiles({ name: CONTENT.name, mimeType: 'text/plain', buffer: CONTENT.bytes });
    }
    const pattern = new RegExp(`${operation.path.replaceAll(/\{\w+\}/g, '[^/]+')}(\\?|$)`);
    const [answer] = await Promise.all([
      page.waitForResponse(
        (response) => response.request().method() === operation.method && pattern.test(response.url()),
      ),
      block.locator('button.execute').click(),
    ]);
    const text = await answer.text().catch(() => '');
    const outcome = { status: answer.status(), json: jsonOf(text, answer.headers()['location']) };
    // Closed again: a page with all routes open becomes slow.
    await block.locator('.opblock-summary-control').click();
    return outcome;
  }
}
