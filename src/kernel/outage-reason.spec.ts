import { outageReason } from './outage-reason';

const fault = (code: string, cause?: unknown): Error =>
  Object.assign(new Error('text with a secret', { cause }), { code });

describe('The reason of an outage', () => {
  it.each([
    ['ENOTFOUND', 'its name is not found in DNS (ENOTFOUND)'],
    ['EAI_AGAIN', 'its name is not found in DNS (EAI_AGAIN)'],
    ['ECONNREFUSED', 'the connection is refused (ECONNREFUSED)'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'its certificate is not trusted (DEPTH_ZERO_SELF_SIGNED_CERT)'],
    ['CERT_HAS_EXPIRED', 'its certificate is not trusted (CERT_HAS_EXPIRED)'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'its certificate is not trusted (ERR_TLS_CERT_ALTNAME_INVALID)'],
    ['EPROTO', 'TLS does not come about (EPROTO)'],
  ])('%s is said in words', (code, said) => expect(outageReason(fault(code))).toBe(said));

  it('is found behind the errors of libraries', () => {
    const tried = new AggregateError([fault('ECONNREFUSED')], 'all failed');
    expect(outageReason(fault('ESOCKET', new Error('outer', { cause: tried })))).toContain('ECONNREFUSED');
  });

  it('is none where the error does not say, or has anything but a code', () => {
    const round = fault('SOMETHING');
    round.cause = round;
    for (const error of [round, new Error('x'), 'text', undefined, fault('secret=hunter2 ECONNREFUSED')])
      expect(outageReason(error)).toBeUndefined();
  });
});
