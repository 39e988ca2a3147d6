import { Controller, Get, Param, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Policy } from '../../http/index';
import { DomainError } from '../../kernel/index';

/** The files of the page: a list, so that no path of a client's reaches the disk. */
const ASSETS: Readonly<Record<string, string>> = {
  'link.css': 'text/css; charset=utf-8',
  'link.js': 'text/javascript; charset=utf-8',
};

/** Its own script and style, calls to this server, and pictures, sound and films from it: nothing from elsewhere, and no inline code. */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "media-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join(';');

/**
 * The page that a link shows in a browser. The secret stands in the fragment, which the browser keeps to itself: the page's script reads it
 * and posts it, so that no log of a server or proxy on the way ever has it.
 */
@ApiExcludeController()
@Controller('l')
export class LinkPageController {
  @Get()
  @Policy({ access: 'public', always: true, page: true })
  async page(@Res() reply: FastifyReply): Promise<void> {
    await sendPage(reply, await pageText());
  }

  @Get(':asset')
  @Policy({ access: 'public', always: true, page: true })
  async asset(@Param('asset') name: string, @Res() reply: FastifyReply): Promise<void> {
    // The page as it stands at /l/: a browser follows its paths from there.
    if (name === 'index.html') return sendPage(reply, (await pageText()).replaceAll('="l/', '="'));
    const type = Object.hasOwn(ASSETS, name) ? ASSETS[name] : undefined;
    if (type === undefined) throw new DomainError('not_found');
    await reply.type(type).send(await readFile(join(__dirname, 'link-page', name)));
  }
}

const pageText = (): Promise<string> => readFile(join(__dirname, 'link-page', 'link.html'), 'utf8');

async function sendPage(reply: FastifyReply, page: string): Promise<void> {
  await reply.header('content-security-policy', PAGE_POLICY).type('text/html; charset=utf-8').send(page);
}
