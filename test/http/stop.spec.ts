import { connect } from 'node:net';
import { HttpApp, parseAnswer, startHttpApp } from '../support/http-app';
import { SampleController } from './sample.controller';

const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 5));
};

async function startSlow(http: HttpApp): Promise<{ answer: Promise<Response>; finish: () => void }> {
  const sample = http.app.get(SampleController);
  const idle = sample.release;
  const answer = fetch(`${http.url}/slow`);
  await until(() => sample.release !== idle);
  return { answer, finish: sample.release };
}

describe('a stop', () => {
  let http: HttpApp;
  beforeEach(async () => {
    http = await startHttpApp({ controllers: [SampleController] });
  });
  afterEach(() => http.close());

  it('lets a running request finish, refuses new ones meanwhile and closes their connections', async () => {
    const slow = await startSlow(http);
    const stopped = http.stop();
    const refused = await fetch(`${http.url}/open`);
    expect(refused.status).toBe(503);
    expect(((await refused.json()) as { code: string }).code).toBe('shutting_down');
    expect(refused.headers.get('connection')).toBe('close');
    slow.finish();
    const answer = await slow.answer;
    expect(await answer.json()).toEqual({ done: true });
    await stopped;
    await expect(fetch(`${http.url}/open`)).rejects.toThrow();
  });

  it('lets an upload finish', async () => {
    const socket = connect(http.port, '127.0.0.1');
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    socket.write(
      'POST /stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ann\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nhalf.',
    );
    await until(async () => (await http.metrics.registry.metrics()).length > 0 && socket.bytesWritten > 0);
    await fetch(`${http.url}/open`);
    const stopped = http.stop();
    socket.write('other');
    await stopped;
    expect(parseAnswer(text)).toMatchObject({ status: 200, body: '{"size":10}' });
  });

  it('does not wait for idle connections', async () => {
    const socket = connect(http.port, '127.0.0.1');
    const ended = new Promise((resolve) => socket.once('close', resolve));
    socket.write('GET /open HTTP/1.1\r\nHost: x\r\n\r\n');
    await new Promise((resolve) => socket.once('data', resolve));
    await http.stop(60_000);
    await ended;
  });

  it('breaks what has not ended after the grace', async () => {
    const slow = await startSlow(http);
    const broken = expect(slow.answer).rejects.toThrow();
    await http.stop(50);
    await broken;
    slow.finish();
  });

  it('waits for a handler whose connection it broke, which may still store what came', async () => {
    const slow = await startSlow(http);
    const order: string[] = [];
    const stopped = http.stop(50).then(() => order.push('stopped'));
    await slow.answer.catch(() => order.push('broken'));
    await new Promise((resolve) => setTimeout(resolve, 200));
    order.push('finished');
    slow.finish();
    await stopped;
    expect(order).toEqual(['broken', 'finished', 'stopped']);
  });
});
