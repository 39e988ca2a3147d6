import { IncomingMessage, Server, ServerResponse } from 'node:http';

/**
 * Implements `Expect: 100-continue` (RFC 9110, 10.1.1): sends "100 Continue" when the handler
 * begins to read the body.
 * A request rejected by its headers thus gets the error instead, and its client sends no body. Node
 * would send "100 Continue" at once.
 */
export function heedExpectations(server: Server): void {
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    continueOnceRead(request, response);
    server.emit('request', request, response);
  });
  // Without a listener Node responds to an unknown Expect with an empty 417. A server may ignore
  // the header.
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    server.emit('request', request, response);
  });
}

function continueOnceRead(request: IncomingMessage, response: ServerResponse): void {
  const heard = (event: string | symbol): void => {
    if (event !== 'data' && event !== 'readable') return;
    request.off('newListener', heard);
    if (!response.headersSent) response.writeContinue();
  };
  request.on('newListener', heard);
}
