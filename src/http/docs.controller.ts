import { Controller, Get, Inject, Param, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { FastifyReply } from 'fastify';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CONFIG, Config } from '../config/config';
import { DomainError } from '../kernel';
import { OpenApi } from './openapi/openapi';
import { Policy } from './policy';
import { DOCS_POLICY } from './security-headers';

const FOLDER = dirname(require.resolve('swagger-ui-dist/package.json'));

/**
 * The files of Swagger UI that its page loads. A fixed list, so that no client path reaches the
 * disk.
 */
const ASSETS: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'swagger-ui-standalone-preset.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
};

const HTML = 'text/html; charset=utf-8';

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Coffer API</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" type="image/png" href="docs/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/swagger-ui-standalone-preset.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
`;

// A separate file, because the page's policy forbids inline scripts. The token is not persisted,
// because the browser would store it. Calls go to the page's own origin, whatever PUBLIC_URL is,
// because the policy allows no other.
const START = `const root = new URL('..', document.currentScript.src);

/** Swagger UI makes up a text for each field of a form that has no sample. */
function blankForms(spec) {
  for (const operation of Object.values(spec.paths).flatMap((item) => Object.values(item))) {
    const { properties = {}, required = [] } = operation.requestBody?.content['multipart/form-data']?.schema ?? {};
    for (const [name, field] of Object.entries(properties)) if (!required.includes(name)) field.example = '';
  }
}

/** It also sends the fields of a form that nobody filled in. */
function withoutBlanks(request) {
  if (request.body instanceof FormData) {
    for (const [name, value] of [...request.body]) if (value === '') request.body.delete(name);
  }
  return request;
}

fetch(new URL('openapi.json', root))
  .then((answer) => answer.json())
  .then((spec) => {
    blankForms(spec);
    window.ui = SwaggerUIBundle({
      spec: { ...spec, servers: [{ url: root.href.replace(/\\/$/, '') }] },
      dom_id: '#swagger-ui',
      deepLinking: true,
      persistAuthorization: false,
      displayRequestDuration: true,
      requestInterceptor: withoutBlanks,
      presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
      layout: 'BaseLayout',
    });
  });
`;

const ROOT = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Coffer</title></head>
<body><h1>Coffer</h1><p>This is the API of a data vault. It has no pages here.</p></body>
</html>
`;

/** The page at /docs/, from where the browser resolves its relative paths. */
const PAGE_IN_FOLDER = PAGE.replaceAll('="docs/', '="');

/** Swagger UI and the OpenAPI document; absent (404) with DOCS=off. */
@ApiExcludeController()
@Controller()
export class DocsController {
  constructor(
    private readonly openApi: OpenApi,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  @Get()
  @Policy({ access: 'public', always: true, page: true })
  root(@Res() reply: FastifyReply): void {
    if (this.config.http.docs) void reply.code(302).header('location', '/docs').send();
    else void reply.type(HTML).send(ROOT);
  }

  @Get('openapi.json')
  @Policy({ access: 'public', always: true, page: true })
  document(@Res() reply: FastifyReply): void {
    this.#checkOffered();
    void reply.type('application/json; charset=utf-8').send(JSON.stringify(this.openApi.document));
  }

  @Get('docs')
  @Policy({ access: 'public', always: true, page: true })
  page(@Res() reply: FastifyReply): void {
    this.#checkOffered();
    this.#loosen(reply).type(HTML).send(PAGE);
  }

  @Get('docs/:asset')
  @Policy({ access: 'public', always: true, page: true })
  async asset(@Param('asset') name: string, @Res() reply: FastifyReply): Promise<void> {
    this.#checkOffered();
    if (name === 'index.html') return void this.#loosen(reply).type(HTML).send(PAGE_IN_FOLDER);
    const javascript = ASSETS['swagger-ui-bundle.js'] ?? '';
    if (name === 'start.js') return void this.#loosen(reply).type(javascript).send(START);
    const type = Object.hasOwn(ASSETS, name) ? ASSETS[name] : undefined;
    if (type === undefined) throw new DomainError('not_found');
    const bytes = await readFile(join(FOLDER, name));
    void this.#loosen(reply).type(type).header('cache-control', 'public, max-age=3600').send(bytes);
  }

  #checkOffered(): void {
    if (!this.config.http.docs) throw new DomainError('not_found', { detail: 'There is nothing at this path.' });
  }

  #loosen(reply: FastifyReply): FastifyReply {
    return reply.header('content-security-policy', DOCS_POLICY);
  }
}
