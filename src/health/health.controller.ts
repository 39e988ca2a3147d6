import { Controller, Get } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { ApiProblems, Policy } from '../http';
import { Health } from './health';
import { AliveDto, ReadyDto } from './health.dto';

@ApiTags('Operation')
@Controller()
export class HealthController {
  constructor(private readonly health: Health) {}

  /**
   * Reports that the process runs. Probes no dependency, because a failed database is no reason to
   * restart the process.
   */
  @Get('livez')
  @Policy({ access: 'public', always: true })
  getLiveness(): AliveDto {
    return { status: 'alive' };
  }

  /**
   * Reports whether the service can serve requests. If not, `down` names the dependencies that do
   * not respond.
   */
  @Get('readyz')
  @Policy({ access: 'public', always: true })
  @ApiProblems('store_unavailable', 'kms_unavailable', 'audit_unavailable', 'shutting_down')
  async getReadiness(): Promise<ReadyDto> {
    return { status: 'ready', up: [...(await this.health.check())] };
  }
}
