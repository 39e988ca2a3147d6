// The specification's walk as scripted Postman requests. Its parts end where a person has to look into the mail: paste the code into
// the environment's `otp_code` and go on with the next part. scripts/newman.mjs does the same from the outbox folder.

const json = (body) => ({
  mode: 'raw',
  raw: JSON.stringify(body, undefined, 2),
  options: { raw: { language: 'json' } },
});

function step({ name, method, path, body, auth = true, query, tests, before }) {
  const url = { raw: `{{base_url}}${path}`, host: ['{{base_url}}'], path: path.split('/').slice(1) };
  if (query) Object.assign(url, { raw: `${url.raw}?${query.map(([k, v]) => `${k}=${v}`).join('&')}` });
  if (query) url.query = query.map(([key, value]) => ({ key, value }));
  const script = (listen, exec) => ({ listen, script: { type: 'text/javascript', exec } });
  return {
    name,
    event: [...(before ? [script('prerequest', before)] : []), script('test', tests)],
    request: {
      method,
      header: body ? [{ key: 'Content-Type', value: 'application/json' }] : [],
      ...(auth ? {} : { auth: { type: 'noauth' } }),
      ...(body ? { body: json(body) } : {}),
      url,
    },
  };
}

const status = (code) => `pm.test('status is ${code}', () => pm.response.to.have.status(${code}));`;
const equals = (body) =>
  `pm.test('the answer is as specified', () => pm.expect(pm.response.json()).to.eql(${JSON.stringify(body)}));`;
const problem = (code, name) => [
  status(code),
  `pm.test('the problem is ${name}', () => pm.expect(pm.response.json().code).to.eql('${name}'));`,
  "pm.test('it is problem+json', () => pm.expect(pm.response.headers.get('Content-Type')).to.include('application/problem+json'));",
];
const tokens = [
  status(200),
  'const tokens = pm.response.json();',
  "pm.test('it has the fields of a login', () => pm.expect(tokens).to.have.all.keys('access_token', 'token_type', 'expires_in', 'refresh_token'));",
  "pm.test('the token type is bearer', () => pm.expect(tokens.token_type).to.eql('bearer'));",
  "pm.environment.set('access_token', tokens.access_token);",
  "pm.environment.set('refresh_token', tokens.refresh_token);",
];
const record = [
  status(200),
  'const record = pm.response.json();',
  "pm.test('it has id, data_type and value only', () => pm.expect(record).to.have.all.keys('id', 'data_type', 'value'));",
];

const person = { username: '{{username}}', email: '{{email}}', password: '{{password}}' };
const credentials = { username: '{{username}}', password: '{{password}}' };
const card = (value) => ({ data_type: 'card_number', value });
const RECORD = '/sensitive-data/{{record_id}}';

const untilTheCode = [
  step({
    name: 'Register',
    method: 'POST',
    path: '/register',
    body: person,
    auth: false,
    before: [
      '// An account of its own for each run: the walk may be repeated on the same data.',
      'const name = `alice-${Date.now().toString(36)}${Math.floor(Math.random() * 1296).toString(36)}`;',
      "pm.environment.set('username', name);",
      "pm.environment.set('email', `${name}@example.org`);",
    ],
    tests: [status(200), equals({ message: 'User registered successfully' })],
  }),
  step({
    name: 'Register again',
    method: 'POST',
    path: '/register',
    body: person,
    auth: false,
    tests: problem(409, 'user_exists'),
  }),
  step({
    name: 'Register with a weak password',
    method: 'POST',
    path: '/register',
    body: { ...person, username: 'weak-{{username}}', password: 'weak' },
    auth: false,
    tests: problem(400, 'weak_password'),
  }),
  step({ name: 'Login', method: 'POST', path: '/login', body: credentials, auth: false, tests: tokens }),
  step({
    name: 'Store a card number',
    method: 'POST',
    path: '/sensitive-data',
    body: card('4929123456781234'),
    tests: [...record, "pm.environment.set('record_id', record.id);"],
  }),
  step({
    name: 'Store a card number that is none',
    method: 'POST',
    path: '/sensitive-data',
    body: card('1234'),
    tests: problem(400, 'invalid_value'),
  }),
  step({
    name: 'List',
    method: 'GET',
    path: '/sensitive-data',
    tests: [
      status(200),
      "pm.test('it is an array with the record', () => pm.expect(pm.response.json().map((item) => item.id)).to.include(pm.environment.get('record_id')));",
    ],
  }),
  step({
    name: 'List, masked',
    method: 'GET',
    path: '/sensitive-data',
    query: [['view', 'masked']],
    tests: [
      status(200),
      "pm.test('values are masked', () => pm.expect(pm.response.json()[0].value).to.eql('************1234'));",
    ],
  }),
  step({
    name: 'Read',
    method: 'GET',
    path: RECORD,
    tests: [...record, "pm.test('the value is whole', () => pm.expect(record.value).to.eql('4929123456781234'));"],
  }),
  step({
    name: 'Update',
    method: 'PUT',
    path: RECORD,
    body: card('5105105105105100'),
    tests: [
      ...record,
      "pm.test('the value is the new one', () => pm.expect(record.value).to.eql('5105105105105100'));",
    ],
  }),
  step({
    name: 'Who am I',
    method: 'GET',
    path: '/me',
    tests: [
      status(200),
      "pm.test('it is the account', () => pm.expect(pm.response.json().username).to.eql(pm.environment.get('username')));",
      "pm.environment.set('role', pm.response.json().role);",
    ],
  }),
  step({
    name: 'Rotate the master key',
    method: 'POST',
    path: '/rotate-master-key',
    tests: [
      'const answer = pm.response.json();',
      '// The first account of a fresh installation is the administrator; that of a second run is not.',
      "if (pm.environment.get('role') !== 'administrator') {",
      "  pm.test('an ordinary user may not', () => pm.expect([pm.response.code, answer.code]).to.eql([403, 'permission_denied']));",
      '  return;',
      '}',
      status(200),
      "pm.test('the message is as specified', () => pm.expect(answer.message).to.eql('Master key rotated successfully'));",
      "pm.test('the rotation is described', () => pm.expect(answer.rotation).to.have.all.keys('id', 'state', 'target_version', 'total', 'done', 'failed'));",
    ],
  }),
  step({
    name: 'Read after the rotation',
    method: 'GET',
    path: RECORD,
    tests: [...record, "pm.test('the value is unharmed', () => pm.expect(record.value).to.eql('5105105105105100'));"],
  }),
  step({
    name: 'Delete',
    method: 'DELETE',
    path: RECORD,
    tests: [status(200), equals({ message: 'Data deleted successfully' })],
  }),
  step({ name: 'Read what is deleted', method: 'GET', path: RECORD, tests: problem(404, 'not_found') }),
  step({
    name: 'Send a code that turns on the second factor',
    method: 'POST',
    path: '/send-otp',
    body: { username: '{{username}}' },
    tests: [status(200), equals({ message: 'OTP sent to your email' })],
  }),
];

const turnOn = [
  step({
    name: 'Verify the code: the second factor is on',
    method: 'POST',
    path: '/verify-otp',
    body: { username: '{{username}}', otp: '{{otp_code}}' },
    tests: tokens,
  }),
  step({
    name: 'Login asks for the second factor',
    method: 'POST',
    path: '/login',
    body: credentials,
    auth: false,
    tests: [
      status(200),
      'const answer = pm.response.json();',
      "pm.test('it asks, and gives no token of access', () => pm.expect(answer).to.have.all.keys('message', 'username', 'mfa_token', 'methods', 'otp_sent'));",
      "pm.test('the message is as specified', () => pm.expect(answer.message).to.eql('2FA required'));",
      "pm.environment.set('mfa_token', answer.mfa_token);",
    ],
  }),
];

const secondFactor = [
  step({
    name: 'Verify the code of the login',
    method: 'POST',
    path: '/verify-otp',
    body: { username: '{{username}}', mfa_token: '{{mfa_token}}', otp: '{{otp_code}}' },
    auth: false,
    tests: tokens,
  }),
  step({
    name: 'Verify the same code once more',
    method: 'POST',
    path: '/verify-otp',
    body: { username: '{{username}}', mfa_token: '{{mfa_token}}', otp: '{{otp_code}}' },
    auth: false,
    tests: [status(401)],
  }),
  step({ name: 'List with the new token', method: 'GET', path: '/sensitive-data', tests: [status(200), equals([])] }),
];

export const walk = {
  name: 'Walk',
  description:
    'The whole walk, with assertions. Run the parts in order. Before the second and the third, paste the code from the mail ' +
    '(without a mail server: the newest file in the outbox folder of the data folder) into `otp_code` of the environment. ' +
    'Each run makes an account of its own, so the walk may be repeated on the same data. Rotating the master key wants an administrator, ' +
    'which the first account of a fresh installation is: to others it is refused, and the walk expects that.',
  item: [
    { name: '1 Until a code is mailed', item: untilTheCode },
    { name: '2 Turn on the second factor', item: turnOn },
    { name: '3 Log in with it', item: secondFactor },
  ],
};

export const environment = {
  name: 'Coffer (local)',
  values: [
    ['base_url', 'http://127.0.0.1:8000', 'default'],
    ['username', '', 'default'],
    ['email', '', 'default'],
    ['password', 'Correct-Horse-7', 'default'],
    ['access_token', '', 'secret'],
    ['refresh_token', '', 'secret'],
    ['mfa_token', '', 'secret'],
    ['otp_code', '', 'secret'],
    ['record_id', '', 'default'],
    ['role', '', 'default'],
  ].map(([key, value, type]) => ({ key, value, type, enabled: true })),
  _postman_variable_scope: 'environment',
};
