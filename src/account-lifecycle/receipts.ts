import { Injectable } from '@nestjs/common';
import { ed25519PublicKey } from '../crypto';
import { Clock, DomainError, SystemSecrets } from '../kernel';
import { BackupExposure } from '../keys/user-keys';
import { installed } from '../installation';
import { Store } from '../store';
import { ErasureDoc } from './erasure.collection';
import { Erasures } from './erasures';
import { ErasureReceipt, receiptOf } from './receipt';
import { signReceipt } from './receipt-jws';

export interface SignedReceipt {
  readonly receipt: ErasureReceipt;
  /** Compact JWS whose payload is the receipt. */
  readonly signature: string;
}

/**
 * Issues receipts of finished erasures, any number of times. Each receipt states the tier at its
 * time of issue.
 */
@Injectable()
export class Receipts {
  constructor(
    private readonly store: Store,
    private readonly erasures: Erasures,
    private readonly erasedKeys: BackupExposure,
    private readonly secrets: SystemSecrets,
    private readonly clock: Clock,
  ) {}

  async issue(erasure: ErasureDoc): Promise<SignedReceipt> {
    const { wraps, state } = erasure;
    if (wraps === undefined || state !== 'erased')
      throw new DomainError('conflict', { detail: 'The erasure has not finished.' });
    const { installation_id: installationId } = await installed(this.store);
    const receipt = receiptOf(erasure, wraps, {
      fates: await this.erasedKeys.fates(wraps),
      installationId,
      now: this.clock.now(),
    });
    return { receipt, signature: signReceipt(receipt, this.secrets.receipts) };
  }

  /** @throws DomainError `not_found`; `conflict` if the erasure is not finished */
  async issueFor(accountId: string): Promise<SignedReceipt> {
    const erasure = await this.erasures.find(accountId);
    if (erasure === undefined) throw new DomainError('not_found', { detail: 'No erased account has this id.' });
    return this.issue(erasure);
  }

  /** The public key that verifies receipts, in PEM. */
  publicKey(): string {
    return ed25519PublicKey(this.secrets.receipts);
  }
}
