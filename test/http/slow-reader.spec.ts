import { Controller, Get, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { etag, Policy, sendContent } from '../../src/http';
import { HttpApp, startHttpApp } from '../support/http-app';
import { waitFor } from '../support/processes';

let given = 0;
let closed = false;
const SIZE = 1024 ** 3;

@Controller('endless')
class EndlessController {
  @Get()
  @Policy({ access: 'public' })
  async get(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const body = new Readable({
      read() {
        given += 65_536;
        this.push(Buffer.alloc(65_536));
      },
      destroy(fault, done) {
        closed = true;
        done(fault);
      },
    });
    await sendContent(request, reply, {
      etag: etag(1),
      modifiedAt: 0,
      size: SIZE,
      describe: () => Promise.resolve({ contentType: 'application/octet-stream', fileName: 'endless' }),
      open: () => Promise.resolve(body),
    });
  }
}

let http: HttpApp;
beforeAll(async () => {
  const limits = { headersTimeoutMs: 1_000, idleTimeoutMs: 500 };
  http = await startHttpApp({ controllers: [EndlessController], limits });
});
afterAll(() => http.close());

describe('a client that stops reading a download', () => {
  it('is let go, and the content with it, of which no more was read than the sockets hold', async () => {
    const { hostname, port } = new URL(http.url);
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined);
    socket.write('GET /endless HTTP/1.1\r\nHost: a\r\n\r\n');
    await new Promise((resolve) => socket.once('data', resolve));
    socket.pause();
    await waitFor('the content to be closed', () => closed, 20_000);
    expect(given).toBeLessThan(32 * 1024 * 1024);
    socket.destroy();
  });
});
