/**
 * `npm run campaign -- NAME [--short] [--seed N] …`: long randomised checks. Each campaign is a
 * file in `scripts/campaigns/` that exports `campaign`; it prints counts at the end and returns
 * non-zero on the first violation.
 */
import { readdirSync } from 'node:fs';

export interface Campaign {
  readonly name: string;
  readonly summary: string;
  readonly usage: string;
  run(args: readonly string[], print: (line: string) => void): Promise<number>;
}

async function main(argv: readonly string[]): Promise<number> {
  const names = readdirSync(new URL('./campaigns/', import.meta.url))
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.slice(0, -3));
  const [name, ...args] = argv;
  if (name === undefined || !names.includes(name)) {
    process.stderr.write('usage: npm run campaign -- NAME [--short] [--seed N] …\n');
    for (const known of names) {
      const { campaign } = (await import(`./campaigns/${known}.ts`)) as { campaign?: Campaign };
      if (campaign !== undefined) process.stderr.write(`  ${known}  ${campaign.summary}\n`);
    }
    return 2;
  }
  const { campaign } = (await import(`./campaigns/${name}.ts`)) as { readonly campaign: Campaign };
  if (args.includes('--help')) {
    process.stdout.write(`${campaign.summary}\n${campaign.usage}\n`);
    return 0;
  }
  return campaign.run(args, (line) => void process.stdout.write(`${line}\n`));
}

// `… | head` closes our output early: that ends the run quietly.
process.stdout.on('error', () => process.exit(1));

process.exitCode = await main(process.argv.slice(2));
