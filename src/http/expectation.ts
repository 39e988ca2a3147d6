import { IncomingMessage, Server, ServerResponse } from 'node:http';

/**
 * Heeds `Expect: 100-continue` (RFC 9110, 10.1.1): "100 Continue" goes out when somebody begins to read the body, so a request that is
 * refused by its headers alone gets the refusal in its place, and its client sends nothing in vain. Node would ask for the body at once.
 */
export function heedExpectations(server: Server): void {
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    continueOnceRead(request, response);
    server.emit('request', request, response);
  });
  // Without a listener Node answers an unknown Expect with an empty 417. A server may pass it over.
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
