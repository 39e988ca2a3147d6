import { Injectable } from '@nestjs/common';
import { envelopeVersion } from '../../crypto';
import { ResponseSealer } from '../../http';
import { ciphertext, plaintext } from '../../kernel';
import { EncryptionContext, Sealer } from '../../keys/user-keys';

/** Kept answers under the caller's own key: erasing the key erases them. */
@Injectable()
export class OwnerResponseSealer extends ResponseSealer {
  constructor(private readonly sealer: Sealer) {
    super();
  }

  seal(userId: string, id: string, answer: string): Promise<string> {
    const value = plaintext(Buffer.from(answer, 'utf8'));
    return this.sealer.with(userId, (keys) => keys.seal('secrets', place(userId, id), value).toString('base64'));
  }

  open(userId: string, id: string, sealed: string): Promise<string> {
    const envelope = ciphertext(Buffer.from(sealed, 'base64'));
    return this.sealer.with(userId, (keys) => keys.open('secrets', place(userId, id), envelope).toString('utf8'));
  }

  renew(userId: string, id: string, sealed: string): Promise<string | undefined> {
    const envelope = ciphertext(Buffer.from(sealed, 'base64'));
    return this.sealer.with(userId, (keys) => {
      if (envelopeVersion(envelope) >= keys.version) return undefined;
      const value = keys.open('secrets', place(userId, id), envelope);
      return keys.seal('secrets', place(userId, id), value).toString('base64');
    });
  }
}

const place = (ownerId: string, resourceId: string): EncryptionContext => ({
  ownerId,
  resourceType: 'idempotency-key',
  resourceId,
  field: 'answer',
});
