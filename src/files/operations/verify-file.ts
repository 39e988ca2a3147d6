import { Injectable, Optional } from '@nestjs/common';
import {
  AuditSink,
  DomainError,
  ErrorCode,
  Principal,
  StaleKeyVersionError,
  auditedAfterLook,
  isDomainError,
} from '../../kernel';
import { DamageReports } from '../../observability';
import { ContentStore } from '../content/content-store';
import { ActiveFile } from '../model/file.collection';
import { atVersion, versionsOf } from '../model/versions';
import { FileAccess } from './access';

export interface VersionCheck {
  readonly version: number;
  readonly ok: boolean;
  /** Why not. */
  readonly code?: ErrorCode;
}

export interface FileCheck {
  readonly ok: boolean;
  /** Bytes of content that were read and verified. */
  readonly checked_bytes: number;
  /** Newest first. */
  readonly versions: readonly VersionCheck[];
}

interface Reading {
  readonly bytes: number;
  readonly code?: ErrorCode;
}

const TRIES = 5;

/**
 * Reads files to their end: verifies each frame of each version, and the SHA-256 against that in
 * the row.
 */
@Injectable()
export class VerifyFile {
  constructor(
    private readonly access: FileAccess,
    private readonly contents: ContentStore,
    private readonly audit: AuditSink,
    @Optional() private readonly damage?: DamageReports,
  ) {}

  /**
   * A damaged version is part of the result.
   * @throws DomainError `file_not_found`, `permission_denied`, `kms_unavailable`,
   * `store_unavailable`.
   */
  verify(caller: Principal, id: string): Promise<FileCheck> {
    const what = { action: 'file.verify', actor: caller.actor, resource: `file/${id}` } as const;
    return auditedAfterLook(this.audit, what, async (begin) => {
      const row = await this.access.owned(caller, { id });
      await begin();
      const versions: VersionCheck[] = [];
      let checked = 0;
      for (const { version } of versionsOf(row)) {
        const reading = await this.#read(caller, id, version);
        if (reading === undefined) continue;
        const { bytes, code } = reading;
        checked += bytes;
        versions.push({ version, ok: code === undefined, ...(code !== undefined && { code }) });
        if (code === undefined) continue;
        this.damage?.met({ resource: 'file', id, version }, new DomainError(code));
        this.audit.note({ ...what, details: { version, code } }, 'failed');
      }
      return { ok: versions.every(({ ok }) => ok), checked_bytes: checked, versions };
    });
  }

  /** Undefined for a version that was removed meanwhile. Reads one again that got a new key. */
  async #read(caller: Principal, id: string, version: number): Promise<Reading | undefined> {
    for (let tries = 1; ; tries += 1) {
      const row = atVersion(await this.access.owned(caller, { id }), version);
      if (row === undefined) return undefined;
      try {
        return await this.#check(row);
      } catch (error) {
        if (isDomainError(error, 'file_not_found')) continue;
        if (!(error instanceof StaleKeyVersionError)) throw error;
        if (tries === TRIES) return { bytes: 0, code: 'decryption_failed' };
      }
    }
  }

  async #check(row: ActiveFile): Promise<Reading> {
    let bytes = 0;
    try {
      await this.contents.readThrough(row, (more) => void (bytes += more));
      return { bytes };
    } catch (error) {
      if (isDomainError(error, 'checksum_mismatch')) return { bytes: 0, code: 'decryption_failed' };
      if (error instanceof StaleKeyVersionError || !isDomainError(error, 'decryption_failed')) throw error;
      return { bytes, code: error.code };
    }
  }
}
